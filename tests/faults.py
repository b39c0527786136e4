"""A disk that fails, a process that dies, and power that goes, before any chosen step that changes what lies on disk.

Steps are what the interpreter tells an audit hook (files opened to be written, renames, removals …) and `os.fsync`.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_told: list[Callable[[], None]] = []  # who is told of steps; at most one
_busy = threading.local()


def _tell() -> None:
    if _told and not getattr(_busy, "now", False):
        _busy.now = True
        try:
            _told[0]()
        finally:
            _busy.now = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _told and (event in _CHANGES or (event == "open" and arguments[2] & _WRITES)):
        _tell()


sys.addaudithook(_hook)


@contextmanager
def told(step: Callable[[], None], synced: Callable[[int], None] = lambda _: None) -> Iterator[None]:
    """`step` is called before each step of this process, and may raise; `synced` in place of each fsync."""

    def fsync(handle: int) -> None:
        _tell()
        synced(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        _told.append(step)
        try:
            yield
        finally:
            _told.clear()


class Strike:
    """Before step `number` (from 0) the disk fails once."""

    def __init__(self, number: int) -> None:
        self.left, self.struck = number, False

    def __call__(self) -> None:
        self.left -= 1
        if self.left == -1:
            self.struck = True
            raise OSError(errno.EIO, "Input/output error")


def killed(work: Callable[[], None], number: int) -> bool:
    """Do `work` in a process that is gone before step `number`; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = number

        def step() -> None:
            nonlocal left
            left -= 1
            if left == -1:
                os._exit(9)

        try:
            with told(step):
                work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), f"it failed by itself: {code}"
    return code == 9


Tree = dict[str, bytes | str | None]
"""Path → a file's bytes, a link's target, or None for a folder."""


class Power:
    """Watches a folder, all of which is on the disk now, and tells what would be left of it without power.

    An entry of a folder is sure to be on the disk once the folder was synced, a file's bytes once the file was.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.cuts = root, list[Tree]()
        self._folders: dict[int, dict[str, tuple[int, int, str]]] = {}
        self._files: dict[int, bytes] = {}
        self._pinned: list[int] = []  # or the number of what was deleted would be used again
        self._lock = threading.Lock()
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                handle = os.open(path, os.O_RDONLY)
                self.synced(handle)
                os.close(handle)

    def synced(self, handle: int) -> None:
        with self._lock:
            found = os.fstat(handle)
            self._pinned.append(os.dup(handle))
            if stat.S_ISDIR(found.st_mode):
                self._folders[found.st_ino] = self._listed(handle)
            else:
                self._files[found.st_ino] = os.pread(handle, found.st_size, 0)

    def _listed(self, folder: int) -> dict[str, tuple[int, int, str]]:
        entries = {}
        for name in os.listdir(folder):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._pinned.append(os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder))
            target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else ""
            entries[name] = found.st_ino, found.st_mode, target
        return entries

    def step(self) -> None:
        """Remember what a cut just now could leave: nothing but what was synced, all entries, those of some folders."""
        with self._lock:
            now: dict[int, dict[str, tuple[int, int, str]]] = {}
            for place, _, _ in os.walk(self.root):
                handle = os.open(place, os.O_RDONLY)
                now[os.fstat(handle).st_ino] = self._listed(handle)
                os.close(handle)
            for seed in range(5):
                chance = random.Random(seed)
                sooner = {0: lambda: False, 1: lambda: True}.get(seed, lambda c=chance: c.random() < 0.5)
                folders = {
                    number: now.get(number, {}) if sooner() else self._folders.get(number, {})
                    for number in {*now, *self._folders}
                }
                if (tree := self._tree(folders)) not in self.cuts:
                    self.cuts.append(tree)

    def _tree(self, folders: dict[int, dict[str, tuple[int, int, str]]]) -> Tree:
        tree: Tree = {}
        todo = [("", self.root.stat().st_ino)]
        while todo:
            place, number = todo.pop()
            for name, (inner, mode, target) in folders.get(number, {}).items():
                path = f"{place}{name}"
                if stat.S_ISDIR(mode):
                    tree[path] = None
                    todo.append((f"{path}/", inner))
                else:
                    tree[path] = target if stat.S_ISLNK(mode) else self._files.get(inner, b"")
        return tree

    def close(self) -> None:
        for handle in self._pinned:
            os.close(handle)


def lay(tree: Tree, root: Path) -> None:
    """Make `root` hold just `tree`."""
    root.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir(exist_ok=True)
        elif isinstance(content, str):
            (root / path).symlink_to(content)
        else:
            (root / path).write_bytes(content)
