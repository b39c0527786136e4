"""The folder of a process's temporary files. What a killed process left, the next one deletes.

Rows of the shop spill to the disk, and models are copied there to be verified. A process that is killed cannot remove
them. So all that it writes into the system's temporary folder lies below one folder, and a lock in it says whether the
process still runs.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from triad import removal
from triad.errors import TriadError

PREFIX = "triad-scratch-"
YOUNG = 60.0
"""Seconds in which a folder may have no lock yet."""

_LOCK = "lock"
_GONE = re.compile(rf"\.gone-{PREFIX}\w{{8}}-[0-9a-f]{{8}}")


def begin() -> None:
    """Give this process a folder for what it writes by `tempfile`, and delete those of processes that were killed.

    Where there is no room for one, the system's own folder stays.
    """
    with suppress(OSError):
        parent = Path(tempfile.gettempdir())
        sweep(parent)
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        handle = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        atexit.register(_end, root, os.getpid())
        tempfile.tempdir = str(root)


def _end(root: Path, process: int) -> None:
    if os.getpid() == process:  # a fork ends, too
        shutil.rmtree(root, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Delete the folders in `parent` that `begin` made for processes of this user that run no more."""
    for gone in parent.glob(f".gone-{PREFIX}*"):
        if _GONE.fullmatch(gone.name) and _is_ours(gone):
            shutil.rmtree(gone, ignore_errors=True)
    for root in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, TriadError):  # it goes, or is somebody's
            if _is_ours(root) and time.time() - root.stat().st_mtime > YOUNG:
                _remove(root, parent)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()


def _remove(root: Path, parent: Path) -> None:
    handle = os.open(root / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        removal.remove(root, below=parent, mark=root / _LOCK)
    finally:
        os.close(handle)
