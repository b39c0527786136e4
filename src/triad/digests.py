"""Digests of folders: of data, of the features fitted on it, of the code that fitted them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from triad.errors import TriadError

PACKAGE = files("triad")
"""Triad's own files, which lie in a folder or, in a version's package, in a zip file."""


def digest(folder: Path) -> str:
    """32 hex digits of the names and bytes of all files below `folder`.

    Raises:
        TriadError: there is none.
    """
    if not (folder.is_dir() and any(_below(folder))):
        raise TriadError("holds no file", where=str(folder), mend="run the stages before: `dvc repro publish`")
    return _digest(folder)


def code_digest(package: Traversable = PACKAGE) -> str:
    """32 hex digits of the package's source files."""
    return _digest(package, ".py")


def _digest(root: Traversable, ending: str = "") -> str:
    total = hashlib.sha256()
    for name, file in sorted(_below(root), key=lambda each: each[0].split("/")):
        if name.endswith(ending):
            with file.open("rb") as handle:
                part = hashlib.file_digest(cast("Any", handle), "sha256").hexdigest()
            total.update(f"{name}\0{part}\n".encode())
    return total.hexdigest()[:32]


def _below(root: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    """Names below `root`, apart by slashes, and files."""
    for part in root.iterdir():
        if part.is_file():
            yield above + part.name, part
        elif part.is_dir() and part.name != "__pycache__":
            yield from _below(part, f"{above}{part.name}/")
