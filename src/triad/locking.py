"""One writer per output at a time, whether a person, DVC or Airflow started it.

The lock is a file beside the output that names its holder. The system frees it when the process ends, in whatever way.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from triad.errors import TriadError

log = logging.getLogger("triad")

_held: dict[Path, int] = {}  # lock → the thread of this process that has it


@contextmanager
def held(target: Path, *, wait: bool = False) -> Iterator[None]:
    """Be the only one who writes `target`, which need not be there. A thread may hold the same again within.

    Args:
        wait: for whoever has it, in place of being refused.

    Raises:
        TriadError: another process writes it; this passes.
    """
    path = target.parent.resolve() / f".{target.name}.lock"
    if _held.get(path) == threading.get_ident():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _take(path, target, wait)
    _held[path] = threading.get_ident()
    try:
        os.ftruncate(handle, 0)  # of a holder that was killed
        os.pwrite(handle, _self(), 0)
        yield
    finally:
        del _held[path]
        with suppress(OSError):  # while it is ours: who waits for this file sees that it is no longer the lock
            path.unlink()
        os.close(handle)


def _take(path: Path, target: Path, wait: bool) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle, target, wait)
        except BaseException:
            os.close(handle)
            raise
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)  # it went with its holder, so another file may be the lock by now


def _lock(handle: int, target: Path, wait: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(handle)
        if not wait:
            raise TriadError(
                f"{holder} is writing it",
                where=str(target),
                mend="let it end, or end it; then run again",
                transient=True,
            ) from None
        log.info("%s: waiting for %s", target, holder)
        fcntl.flock(handle, fcntl.LOCK_EX)


def _self() -> bytes:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.orig_argv)[:200],
        "folder": str(Path.cwd())[:1000],
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(holder).encode()


def _holder(handle: int) -> str:
    for _ in range(50):  # between taking it and saying so lies a moment
        with suppress(ValueError, KeyError, TypeError):  # or the disk was full when it said so
            holder = json.loads(os.pread(handle, 1 << 16, 0))
            return "process {pid} on {host} ({command}, in {folder}, since {since})".format(**holder)
        time.sleep(0.02)
    return "another process"
