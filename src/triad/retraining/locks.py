"""Releases the path locks of dead DVC processes in a workspace.

DVC notes in `.dvc/tmp/rwlock` who works on which path, and takes a lock for held while its process number exists. A
killed DVC whose parent does not reap it (a container's first process seldom does) keeps its number for ever, and after
a restart of the machine another program may have it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import psutil
from dvc.lock import make_lock

log = logging.getLogger("triad.retraining")


def free_stale_locks(workspace: Path) -> int:
    """Take out the locks of processes that are gone; returns how many of those there were."""
    folder = workspace / ".dvc" / "tmp"
    if not (folder / "rwlock").is_file():
        return 0
    with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
        try:
            held = json.loads((folder / "rwlock").read_text(encoding="utf-8"))
        except json.JSONDecodeError:  # the kill cut it short: DVC could not read it either
            held = {}
        stale = {int(owner["pid"]) for owner in _owners(held) if not _works(owner)}
        kept = {
            "write": {path: owner for path, owner in held.get("write", {}).items() if int(owner["pid"]) not in stale},
            "read": {
                path: left
                for path, owners in held.get("read", {}).items()
                if (left := [owner for owner in owners if int(owner["pid"]) not in stale])
            },
        }
        if kept != held:
            (folder / "rwlock").write_text(json.dumps(kept), encoding="utf-8")
    if stale:
        log.warning("path locks of %d dead DVC processes were still there: freed", len(stale))
    return len(stale)


def _owners(held: dict[str, Any]) -> list[dict[str, Any]]:
    return [*held.get("write", {}).values(), *(owner for owners in held.get("read", {}).values() for owner in owners)]


def _works(owner: dict[str, Any]) -> bool:
    """Whether the process that took the lock still runs: that number, and a command that ends alike.

    A zombie has no command, and neither has a process that is just dying.
    """
    try:
        command = psutil.Process(int(owner["pid"])).cmdline()
    except psutil.NoSuchProcess:  # or, a kind of it, ZombieProcess
        return False
    return bool(command) and owner["cmd"].endswith(command[-1])
