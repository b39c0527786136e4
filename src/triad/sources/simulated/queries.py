"""Search queries of customers, as events hold them. What is judged is in `wanted.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triad.sources.simulated.taxonomy import BRANDS, LEAVES, TOP_OF_BRAND, TOP_OF_LEAF

Ints = NDArray[np.int64]

PLAIN = ("{}", "{} sale", "best {}", "cheap {}")


@dataclass(frozen=True)
class Queries:
    """Every query, category by category, the plain ones first; each array (q,). `brand` is -1 where none is named."""

    text: tuple[str, ...]
    leaf: Ints
    brand: Ints
    first: Ints  # (leaves + 1,) where each category's queries begin


def known_queries() -> Queries:
    """All queries that customers type: the category's word in several ways, and with each brand at home there."""
    rows = []
    for number, entry in enumerate(LEAVES):
        rows += [(form.format(entry.noun), number, -1) for form in PLAIN]
        own = np.flatnonzero(TOP_OF_LEAF[number] == TOP_OF_BRAND)
        rows += [(f"{BRANDS[brand].lower()} {entry.noun}", number, int(brand)) for brand in own]
    texts, leaves, brands = zip(*rows, strict=True)
    leaf = np.array(leaves)
    return Queries(texts, leaf, np.array(brands), np.searchsorted(leaf, np.arange(len(LEAVES) + 1)))


def typed(known: Queries, leaf: Ints, named: NDArray[np.bool_], favourite: NDArray[np.bool_], luck: NDArray) -> Ints:
    """Which query each search types: (n,), -1 never.

    Args:
        leaf: (n,) category looked for.
        named: (n,) whether a brand is to be named, where a favourite brand is at home in the category.
        favourite: (n, brands) the customers' favourite brands.
        luck: (n, 2) uniforms.
    """
    own = len(known.text) // len(LEAVES) - len(PLAIN)
    brands = (TOP_OF_LEAF[leaf] * own)[:, None] + np.arange(own)
    liked = np.take_along_axis(favourite, brands, axis=1)
    plain = (luck[:, 0] * len(PLAIN)).astype(np.int64)
    which = (liked * (1 + luck[:, [1]] * np.arange(own))).argmax(axis=1)
    return known.first[leaf] + np.where(named & liked.any(axis=1), len(PLAIN) + which, plain)
