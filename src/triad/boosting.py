"""LightGBM, which needs a library of the system; and trees of it that put rows in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triad.arrays import Floats, Ints
from triad.errors import TriadError

ORDER: Mapping[str, Any] = {
    "num_threads": 1,
    "deterministic": True,
    "verbose": -1,
}
"""The same trees on every machine."""


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


def grow_order(
    library: Any,
    settings: Mapping[str, Any],
    lists: tuple[Floats, Ints, Ints],
    names: Sequence[str],
    start: Floats | None = None,
) -> Any:
    """Trees that order the rows of a list.

    Args:
        settings: of LightGBM, a ranking objective among them.
        lists: (p, columns) what is known of rows, list after list; (p,) whole grades; (lists,) rows of each.
        names: of the columns.
        start: (p,) scores that the trees add to; what they predict is without them.
    """
    columns, grades, sizes = lists
    examples = library.Dataset(columns, grades, group=sizes, feature_name=list(names), init_score=start)
    return library.train({**ORDER, **settings}, examples)


def split_shares(booster: Any) -> dict[str, float]:
    """Column → its share of what the trees' splits gain, largest first."""
    gain = booster.feature_importance("gain")
    shares = gain / max(gain.sum(), 1e-12)
    return {booster.feature_name()[place]: float(shares[place]) for place in (-shares).argsort(kind="stable")}
