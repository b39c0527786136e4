"""Search queries of customers, and the relevance of products to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from triad.sources.simulated.catalogue import Products
from triad.sources.simulated.chance import generator
from triad.sources.simulated.taxonomy import BRANDS, LEAVES, TOP_OF_BRAND, TOP_OF_LEAF

Ints = NDArray[np.int64]

PLAIN = ("{}", "{} sale", "best {}", "cheap {}")
JUDGED = (4, 2, 1)  # queries a product is judged for: of its category, of its broad category, of any


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


def judgements(seed: int, known: Queries, goods: Products, shown: Ints, item_id: pa.Array) -> pa.Table:
    """The `searches` table: each product of `shown` judged for queries of its own, a neighbouring and any category.

    3 is what was asked for, 2 the right category of another brand, 1 the same broad category, 0 anything else.
    """
    luck = generator(seed, "shop", 1).random((len(goods.leaf), sum(JUDGED), 2))[shown]
    leaf, top, brand = goods.leaf[shown, None], goods.top[shown, None], goods.brand[shown, None]
    near, wide, _ = np.cumsum(JUDGED)
    place = np.arange(sum(JUDGED))
    siblings = len(LEAVES) // (TOP_OF_LEAF.max() + 1)
    leaves = np.where(
        place < near,
        leaf,
        np.where(
            place < wide,
            top * siblings + (luck[..., 0] * siblings).astype(int),
            (luck[..., 0] * len(LEAVES)).astype(int),
        ),
    )
    query = known.first[leaves] + (luck[..., 1] * np.diff(known.first)[leaves]).astype(np.int64)
    same = known.leaf[query] == leaf
    fits = (known.brand[query] < 0) | (known.brand[query] == brand)
    grade = np.where(same, np.where(fits, 3, 2), np.where(TOP_OF_LEAF[known.leaf[query]] == top, 1, 0))
    pairs = np.unique(
        np.column_stack([query.ravel(), np.repeat(np.arange(len(shown)), len(place)), grade.ravel()]), axis=0
    )
    return pa.table(
        {
            "query": pa.array(known.text).take(pa.array(pairs[:, 0])),
            "item_id": item_id.take(pa.array(pairs[:, 1])),
            "relevance": pairs[:, 2],
        }
    )
