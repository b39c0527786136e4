"""Removes only what Triad made. Every removal by a name or a record uses this module.

A name may be empty or climb out of its folder, a record may be a copy, a folder may be a link or somebody else's.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from triad import durable
from triad.errors import TriadError

LONGEST = 250
"""Characters a name may have. Folders get at most 255 bytes from the file system."""


def checked_name(name: str, where: str) -> str:
    """`name`, if a run, a stage or an experiment may be called so and a file be named after it.

    Raises:
        TriadError: it is empty, `.` or `..`, too long, begins like an option, or holds a control or path character.
    """
    if not name.strip(". \t\r\n"):
        fault = "the name is empty" if not name.strip() else f"{name!r} is no name"
    elif len(name) > LONGEST:
        fault = f"the name has {len(name):,} characters; {LONGEST} are allowed"
    elif name.startswith("-"):
        fault = f"{name!r} begins like an option"
    elif any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
        fault = f"{name!r} holds a control character"
    else:
        return name
    raise TriadError(fault, where=where, mend="name it with letters and digits")


def checked_part(name: str, where: str) -> str:
    """`name`, if it is a `checked_name` that is one part of a path.

    Raises:
        TriadError: as `checked_name`, or it holds a slash.
    """
    if "/" in name:
        raise TriadError(f"{name!r} is a path, not a name", where=where, mend="leave the slash out")
    return checked_name(name, where)


def remove(folder: Path, *, below: Path, mark: Path) -> None:
    """Remove `folder`, which lies somewhere below `below` and is Triad's: the file `mark` says so.

    The folder is renamed first, so that one half removed is never taken for a whole one.

    Raises:
        TriadError: it is a link, lies elsewhere, or has no mark.
    """
    place, root = folder.parent.resolve() / folder.name, below.resolve()
    if folder.is_symlink():
        refused = "is a link"
    elif not folder.name or folder.name == ".." or place == root or not place.is_relative_to(root):
        refused = f"does not lie below {root}"
    elif not place.is_dir():
        refused = "is no folder"
    elif not mark.is_file():
        refused = "has no mark of Triad's"
    else:
        durable.remove(place)
        return
    raise TriadError(f"{refused}, so it is not removed", where=str(folder), mend="move it away, or name another folder")


def is_there(path: Path) -> bool:
    """Whether anything has this path, also a link to nowhere."""
    return os.path.lexists(path)
