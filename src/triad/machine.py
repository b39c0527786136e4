"""Faults of the machine as clear errors: a full disk, no memory, a read-only folder, a name that is too long."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from triad.errors import TriadError
from triad.redaction import masked

_FREE = "free some space or choose a smaller window, and run again"
_RIGHTS = "run where this user may write, or change the rights"
_SHORTER = "choose a shorter name, or a folder with a shorter path"
_OPEN = "allow more open files (`ulimit -n`)"
_DISK = "look at the disk or its connection (`dmesg`), and run again"
_PLACE = "move away what stands there"

# kind → its numbers, how libraries that keep no number word it, what to do
_KINDS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "no space left on the disk": (
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        r"no space left on device|disk is full|disk quota exceeded|file too large|\d+ requested and \d+ written",
        _FREE,
    ),
    "cannot be written: the file system is read-only": (
        (errno.EROFS,),
        r"read-only file system|readonly database",
        _RIGHTS,
    ),
    "this user may not do that": ((errno.EACCES, errno.EPERM), r"permission denied|operation not permitted", _RIGHTS),
    "the name is too long": ((errno.ENAMETOOLONG,), r"file name too long", _SHORTER),
    "too many files are open": ((errno.EMFILE, errno.ENFILE), r"too many open files", _OPEN),
    "no memory left": (
        (errno.ENOMEM,),
        r"out of memory|unable to allocate|cannot allocate memory|OOM when allocating|bad_alloc",
        "give it more memory, end what else runs here, or choose a smaller window, and run again",
    ),
    "this file system keeps no locks": (
        (errno.ENOLCK,),
        r"no locks available",
        "keep the checkout on a file system with locks (flock), such as a local disk",
    ),
    "the disk does not answer": ((errno.EIO, errno.ESTALE), r"input/output error|stale file handle", _DISK),
    "something else stands there": ((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), r"not a directory", _PLACE),
}
_PASSES = ("no space left on the disk", "too many files are open", "no memory left", "the disk does not answer")


@contextmanager
def faults_explained() -> Iterator[None]:
    """Say what the machine lacks as an error that a person can read; all other errors pass as they are."""
    try:
        yield
    except Exception as error:
        explained = None if isinstance(error, TriadError) else translated(error)
        if explained is None:
            raise
        raise explained from error


def translated(error: BaseException) -> TriadError | None:
    """The message for `error` if it or one of its causes is a fault of the machine; else None."""
    for cause in _chain(error):
        for what, (numbers, words, mend) in _KINDS.items():
            number = errno.ENOMEM if isinstance(cause, MemoryError) else getattr(cause, "errno", None)
            number = number if isinstance(number, int) else None
            if number in numbers if number is not None else re.search(words, str(cause), re.IGNORECASE):
                where = getattr(cause, "filename", None) or _first_line(cause)
                return TriadError(what, where=str(where), mend=mend, transient=what in _PASSES)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    seen: set[int] = set()
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _first_line(error: BaseException) -> str:
    return masked(next(iter(str(error).strip().splitlines()), type(error).__name__))
