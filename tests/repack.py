"""Changes the code in a version's package."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from triad.tracking.packing import CODE


def repacked(folder: Path, change: Callable[[str], str], only: str = "") -> None:
    """Write the package's code in `folder` again, its Python files changed, or the one whose name ends with `only`."""
    archive = folder / CODE
    with zipfile.ZipFile(archive) as packed:
        held = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in held.items():
            is_meant = name.endswith(only or ".py")
            packed.writestr(name, change(data.decode()).encode() if is_meant else data)
