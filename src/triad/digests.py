"""Digests of folders: of data, of the features fitted on it, of the code that fitted them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import triad
from triad.errors import TriadError

PACKAGE = Path(triad.__file__).parent


def digest(folder: Path) -> str:
    """32 hex digits of the names and bytes of all files below `folder`.

    Raises:
        TriadError: there is none.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    if not files:
        raise TriadError("holds no file", where=str(folder), mend="run the stages before: `dvc repro publish`")
    return _digest(folder, files)


def code_digest(package: Path = PACKAGE) -> str:
    """32 hex digits of the package's source files."""
    return _digest(package, sorted(package.rglob("*.py")))


def _digest(root: Path, files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as handle:
            part = hashlib.file_digest(handle, "sha256").hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{part}\n".encode())
    return total.hexdigest()[:32]
