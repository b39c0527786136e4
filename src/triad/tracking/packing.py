"""The code of a version: one zip file that Python imports from. A store takes and gives 600 files one by one."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from triad.paths import entry

CODE = PurePosixPath("code/triad.zip")
_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can tell: equal code, equal bytes


def pack(package: Path, folder: Path) -> None:
    """Write the files of `package` to `folder`'s `CODE`, the same bytes each time."""
    archive = folder / CODE
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(package.parent).as_posix()
                packed.writestr(zipfile.ZipInfo(name, _WHEN), path.read_bytes(), zipfile.ZIP_DEFLATED)


def importable(folder: Path) -> str:
    """The entry of PYTHONPATH that holds the code of the version in `folder`; older versions hold it unpacked.

    Raises:
        TriadError: the path cannot be an entry.
    """
    archive = folder / CODE
    return entry(archive if archive.is_file() else archive.parent)
