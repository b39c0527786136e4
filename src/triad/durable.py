"""Durability across power cuts: files and folders are synced to the disk before anything relies on them.

A file's bytes, its entry in the folder, and a rename each reach the disk when they please, in any order, unless asked.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_GONE = re.compile(r"\.gone-.+-[0-9a-f]{8}")  # a folder that is being removed
_AT_ONCE = 8  # the disk takes several in one go


def sync(path: Path) -> None:
    """Wait until the file's bytes, or the folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network folders cannot
            raise
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """`sync` of all below `root`, and of itself: files before the folders that name them."""
    if root.is_file():
        sync(root)
        return
    files, folders = [], []
    for place, _, names in os.walk(root):
        folders.append(Path(place))
        files += [path for name in names if not (path := Path(place, name)).is_symlink()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(sync, files))
    for folder in reversed(folders):
        sync(folder)


def remove(folder: Path) -> None:
    """Delete `folder` so that no half of it can be taken for the whole: it first loses its name."""
    gone = folder.with_name(f".gone-{folder.name[:200]}-{secrets.token_hex(4)}")
    folder.rename(gone)
    sync(gone.parent)
    shutil.rmtree(gone)


def sweep(parent: Path) -> None:
    """Delete what killed removals left in `parent`."""
    for gone in parent.glob(".gone-*"):
        if _GONE.fullmatch(gone.name) and gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
