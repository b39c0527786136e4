"""Lists for a product's page: what is like it, and what is bought with it. Arrays in, arrays out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import duckdb
import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.tracking.recommending import DAY, nearness

SHRINK = 20.0
"""Visits that a pair must share before half of its likeness is believed: two rare items meet once by chance.

Of 5, 20 and 50, 20 and 50 are as good on validation days (`benchmarks/product_pages.py`)."""

FEWEST = 2
"""Visits that a pair must share to be listed at all."""

WORDS = 12
"""Words of a title that are compared."""

_ITEMS_AT_ONCE, _CELLS = 256, 400_000


@dataclass(frozen=True)
class Neighbours:
    """The best others of each item. (n,) each, by item, then by rank from 1."""

    item: Ints  # catalogue row
    other: Ints
    rank: Ints
    score: Floats
    visits: Ints  # that hold both; 0 where none tells

    def of(self, part: Ints | Bools) -> Neighbours:
        return Neighbours(*(getattr(self, field.name)[part] for field in fields(self)))


@dataclass(frozen=True)
class Descriptions:
    """What items are, by catalogue row. Codes; 0 is unknown."""

    category: Ints  # (n_items, levels) of each path prefix, broad to narrow
    brand: Ints  # (n_items,)
    tokens: Ints  # (n_items, words) of title words

    @classmethod
    def of(cls, session: duckdb.DuckDBPyConnection) -> Descriptions:
        """Those of the table items, by id."""
        rows = session.execute(
            "SELECT coalesce(category, ''), coalesce(brand, ''), lower(coalesce(title, '')) FROM items ORDER BY item_id"
        ).fetchall()
        paths = [list(itertools.accumulate(path.split("/"), "{}/{}".format)) if path else [] for path, _, _ in rows]
        words = [list(dict.fromkeys(re.findall(r"\w+", title)))[:WORDS] for _, _, title in rows]
        return cls(_codes(paths), _codes([[brand] if brand else [] for _, brand, _ in rows])[:, 0], _codes(words))


def _codes(texts: list[list[str]]) -> Ints:
    """(n, longest, at least 1) a code from 1 for each distinct text, 0 behind the last."""
    codes = {text: code for code, text in enumerate(sorted(set(itertools.chain(*texts))), 1)}
    table = np.zeros((len(texts), max([1, *map(len, texts)])), np.int64)
    for row, each in enumerate(texts):
        table[row, : len(each)] = [codes[text] for text in each]
    return table


def visits(
    session: duckdb.DuckDBPyConnection, *, purchases: bool, days: tuple[int, int] | None = None
) -> tuple[csr_array, Ints]:
    """(visits, n_items) 1 where the item was taken in the visit, a customer's UTC day; and each visit's customer.

    Args:
        purchases: count what was bought alone, not all that was looked at.
        days: [first, last) in µs, which alone are read.
    """
    first, last = days or (-(1 << 62), 1 << 62)
    condition = "kind = 'purchase'" if purchases else "kind <> 'impression'"
    rows = session.execute(
        f"""
        SELECT dense_rank() OVER (ORDER BY user_id) - 1 AS customer,
            dense_rank() OVER (ORDER BY user_id, day) - 1 AS visit, place AS item
        FROM (SELECT DISTINCT user_id, epoch_us(occurred_at) // {DAY} AS day, item_id FROM events
            WHERE {condition} AND epoch_us(occurred_at) >= {first} AND epoch_us(occurred_at) < {last})
        JOIN (SELECT item_id, row_number() OVER (ORDER BY item_id) - 1 AS place FROM items) USING (item_id)
        """
    ).fetchnumpy()
    (items,) = session.execute("SELECT count(*) FROM items").fetchone() or (0,)
    customer, visit, item = (np.asarray(rows[name], np.int64) for name in ("customer", "visit", "item"))
    customers = np.zeros(int(visit.max(initial=-1)) + 1, np.int64)
    customers[visit] = customer
    return csr_array((np.ones(len(visit), np.float32), (visit, item)), shape=(len(customers), items)), customers


def met(taken: csr_array, count: int, may: Bools) -> Neighbours:
    """The `count` items that share most visits with each: cosine of their visits, shrunk where these are few.

    s_ij = c_ij / √(c_i c_j) · c_ij / (c_ij + SHRINK), c counting visits; of equals, the first in the catalogue.

    Args:
        taken: (visits, n_items) `visits`.
        may: (n_items,) which may be listed.
    """
    total, columns = np.asarray(taken.sum(axis=0)), taken.tocsc()
    parts = []
    for start in range(0, taken.shape[1], _ITEMS_AT_ONCE):
        pairs = (columns[:, start : start + _ITEMS_AT_ONCE].T @ taken).tocoo()
        item, other, both = pairs.coords[0] + start, pairs.coords[1], pairs.data
        kept = (item != other) & may[other] & (both >= FEWEST)
        item, other, both = item[kept], other[kept], both[kept]
        score = both / np.sqrt(total[item] * total[other]) * both / (both + SHRINK)
        parts.append(_best(item, other, score, both, count))
    return _joined(parts)


def described(what: Descriptions, items: Ints, count: int, may: Bools) -> Neighbours:
    """The `count` others of its broad category that are nearest to each of `items` by category, brand and title words.

    New items, and those few look at, share visits with nothing. A level shared counts more than the brand, and that
    more than all words: who finds enough in the narrowest group need not look at a wider one.
    """
    parts, groups = [_NONE], [*_groups(what)]
    for key, asks in groups:
        listed = np.flatnonzero(may)[np.argsort(key[may], kind="stable")]
        first, last = (np.searchsorted(key[listed], key[items], side=side) for side in ("left", "right"))
        now = asks[items] & ((last - first - may[items] >= count) | (key is groups[-1][0]))
        inside, of = items[now], first[now]
        by = np.argsort(of, kind="stable")
        for some in np.split(by, np.flatnonzero(np.diff(of[by])) + 1):
            if len(some):
                others = listed[of[some[0]] : last[now][some[0]]]
                parts += _nearest(what, inside[some], others, count)
        items = items[~now]
    return _by_item(parts)


def _groups(what: Descriptions) -> Iterator[tuple[Ints, Bools]]:
    """(n_items,) each: the group of every item, and who finds the nearest there; from the narrowest to the broadest.

    A brand's part of a category is for those whose path ends there: to others all of a deeper one is nearer.
    """
    path, brand = what.category, what.brand
    for level in reversed(range(path.shape[1])):
        category, ends = path[:, level], path[:, level : level + 2].astype(bool).sum(axis=1) == 1
        yield category * (brand.max(initial=0) + 1) + brand, ends & (category > 0) & (brand > 0)
        yield category, category > 0


def _nearest(what: Descriptions, items: Ints, others: Ints, count: int) -> Iterator[Neighbours]:
    """The `count` of `others` that are nearest to each of `items`; of equals, the first in the catalogue."""
    step = max(1, _CELLS // max(len(others), 1))
    for start in range(0, len(items) if len(others) else 0, step):
        some = items[start : start + step]
        near = nearness(what, some, np.tile(others, (len(some), 1)))
        near[some[:, None] == others] = 0
        best = np.argsort(-near, axis=1, kind="stable")[:, :count]
        row, place = np.nonzero(np.take_along_axis(near, best, axis=1) > 0)
        yield _told(some[row], others[best[row, place]], place + 1)


def popular(what: Descriptions, taken: csr_array, count: int, may: Bools) -> Neighbours:
    """The `count` items of the broad category that were taken in most visits: what a shop would do by hand.

    Args:
        taken: (visits, n_items) `visits`.
    """
    broad, times, parts = what.category[:, 0], np.asarray(taken.sum(axis=0)), [_NONE]
    for group in np.unique(broad):
        inside = np.flatnonzero(broad == group)
        listed = inside[may[inside]]
        best = listed[np.argsort(-times[listed], kind="stable")][: count + 1]
        differs = inside[:, None] != best
        rank = np.cumsum(differs, axis=1)
        row, place = np.nonzero(differs & (rank <= count))
        parts.append(_told(inside[row], best[place], rank[row, place]))
    return _by_item(parts)


def filled(first: Neighbours, second: Neighbours, count: int) -> Neighbours:
    """The lists of `first`, each continued by what `second` adds to it, up to `count`."""
    size = 1 + int(max(first.other.max(initial=0), second.other.max(initial=0)))
    adds = ~np.isin(second.item * size + second.other, first.item * size + first.other)
    both = _joined([first, second.of(adds)])
    is_second = np.arange(len(both.item)) >= len(first.item)
    lists = both.of(np.lexsort((both.rank, is_second, both.item)))
    lists = replace(lists, rank=np.arange(len(lists.item)) - np.searchsorted(lists.item, lists.item) + 1)
    return lists.of(lists.rank <= count)


def _told(item: Ints, other: Ints, rank: Ints) -> Neighbours:
    """Of which no visit tells."""
    return Neighbours(item, other, rank, np.zeros(len(item)), np.zeros(len(item), np.int64))


def _best(item: Ints, other: Ints, score: Floats, both: Floats, count: int) -> Neighbours:
    by = np.lexsort((other, -score, item))
    rank = np.arange(len(item)) - np.searchsorted(item[by], item[by]) + 1
    return Neighbours(item[by], other[by], rank, score[by], both[by].astype(np.int64)).of(rank <= count)


def _by_item(parts: list[Neighbours]) -> Neighbours:
    joined = _joined(parts)
    return joined.of(np.lexsort((joined.rank, joined.item)))


def _joined(parts: list[Neighbours]) -> Neighbours:
    columns = ([getattr(each, field.name) for field in fields(each)] for each in parts)
    return Neighbours(*(np.concatenate(column) for column in zip(*columns, strict=True)))


_NONE = _told(*(np.zeros(0, np.int64),) * 3)
