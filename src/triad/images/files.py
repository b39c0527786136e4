"""The bytes that a product's `image_path` names: a file below the shop's folder, or a picture that it holds itself.

Example:
    >>> read(None, "data:image/gif;base64,R0lGODdhAQABAAAAACwAAAAAAQABAAAC")[:3]
    b'GIF'
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from pathlib import Path

from triad.images.decoding import LARGEST, Fault

_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


def read(folder: str | None, path: str) -> bytes | Fault:
    """What `path` names. What lies elsewhere than below `folder` is missing, and all but data where that is None.

    A table's words must open no other file: links and `..` are followed first, and what is no plain file is not read.
    """
    if is_held(path):
        data = _DATA.match(path)
        return Fault.NO_PICTURE if data is None else _held(path[data.end() :])
    if not path or "\0" in path or folder is None:
        return Fault.MISSING
    root, file = os.path.realpath(folder), os.path.realpath(Path(folder) / path)
    return _content(Path(file)) if Path(file).is_relative_to(root) else Fault.MISSING


def is_held(path: str) -> bool:
    """Whether it is the picture itself, which no file has to be opened for."""
    return path[:5].lower() == "data:"


def _held(text: str) -> bytes | Fault:
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # mail and YAML break long lines
    except (binascii.Error, ValueError):
        return Fault.NO_PICTURE


def _content(file: Path) -> bytes | Fault:
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            return Fault.MISSING
        return Fault.HUGE if about.st_size > LARGEST else file.read_bytes()
    except OSError:
        return Fault.MISSING
