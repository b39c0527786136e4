"""Runs a command so that no process remains when it ends, is killed, or its starter is killed.

Three things make it sure: a guard that dies with this process and takes the command's process group along; this
process, which ends the group when the guard is killed; and `end_leftovers`, which finds by a mark in their environment
the processes of an earlier attempt whose starter and guard were both killed.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from triad.redaction import shown_path

_GUARD = Path(__file__).with_name("guard.py")
_GRACE = 5.0  # seconds between asking and killing
_KEPT = 1 << 20  # characters of output to look for reasons in

log = logging.getLogger("triad.retraining")


def run(command: list[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and output of `command`; all it prints goes on to our standard error, line by line.

    SIGTERM and SIGINT to this process end the command and all it started.
    """
    guard = subprocess.Popen(
        [sys.executable, "-I", str(_GUARD), str(os.getpid()), *command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def stop(number: int, _: FrameType | None) -> None:
        log.warning("%s: ending the stage's processes", signal.Signals(number).name)
        with suppress(ProcessLookupError):
            os.kill(guard.pid, signal.SIGTERM)

    def kill_group() -> None:  # what a killed guard left would hold the output open, and go on working
        guard.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(guard.pid, signal.SIGKILL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    killer = threading.Thread(target=kill_group)
    killer.start()
    try:
        assert guard.stdout is not None
        text = ""
        for line in guard.stdout:
            # of a progress bar that redraws its line, the last state
            shown = re.split(r"\r(?!\n)", line.decode(errors="replace").rstrip("\r\n"))[-1] + "\n"
            sys.stderr.write(shown_path(shown))
            sys.stderr.flush()
            text = (text + shown)[-_KEPT:]
        killer.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return guard.returncode, text


def end_leftovers(name: str, value: str) -> int:
    """End every process whose environment holds `name=value`; returns how many there were.

    Raises:
        TimeoutError: one cannot be killed (it waits for a disk, say).
    """
    leftovers = marked(name, value)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in marked(name, value):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + _GRACE
        while marked(name, value):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return len(leftovers)
    raise TimeoutError(f"processes {marked(name, value)} of an earlier attempt do not end")


def marked(name: str, value: str) -> list[int]:
    """Living processes whose environment, as they started, holds `name=value`, or `name=value:…`.

    Only Linux tells; elsewhere nothing is found, and a log line says so.
    """
    if not Path("/proc/self/environ").exists():
        log.warning("this system does not tell processes' environments: left-overs of a killed attempt stay")
        return []
    wanted, pids = f"{name}={value}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):  # it ended, or belongs to somebody else
                variables = (folder / "environ").read_bytes().split(b"\0")
                if any(v == wanted or v.startswith(wanted + b":") for v in variables):
                    pids.append(int(folder.name))
    return pids
