"""LightGBM, which needs a library of the system."""

from __future__ import annotations

from typing import Any

from triad.errors import TriadError


def lightgbm(dial: str, other: str) -> Any:
    """The library, which `dial` asks for; `other` is the value that does not.

    Raises:
        TriadError: it does not load.
    """
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # its wheel needs the system's libgomp
        mend = f"install libgomp1, or set it to {other}"
        raise TriadError(f"LightGBM does not load: {error}", where=dial, mend=mend) from error
    return lightgbm
