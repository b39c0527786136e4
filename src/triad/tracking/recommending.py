"""From a model's scores to one list per user: retrieve, order, explain. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.signals import ITSELF, LIKE, SHOP, UNTOLD
from triad.schema import EVENT_KINDS
from triad.threads import side_by_side

DAY = 86_400_000_000  # µs
_NEW_DAYS = 14
_LOOK_BACK = 50
_AT_ONCE = 4096  # pairs that a processor explains
_DEEDS = {"click": "looked at {}", "cart": "had {} in your cart", "purchase": "bought {}"}


@dataclass(frozen=True)
class Pairs:
    """Items considered for users, by user. (n,) each."""

    user: Ints  # catalogue row
    item: Ints  # catalogue row
    score: Floats
    ground: Ints = field(default_factory=lambda: np.zeros(0, np.int8))
    """What carried each into the list, as `signals.grounds`; none: nobody told."""

    def __post_init__(self) -> None:
        if len(self.ground) != len(self.user):
            object.__setattr__(self, "ground", np.full(len(self.user), UNTOLD, np.int8))

    def __getitem__(self, part: slice | Ints | Bools) -> Pairs:
        return Pairs(self.user[part], self.item[part], self.score[part], self.ground[part])

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """One after the other."""
        none = np.empty(0, np.int64)
        columns = zip(*((p.user, p.item, p.score, p.ground) for p in parts), strict=True) if parts else [[none]] * 4
        return cls(*map(np.concatenate, columns))


def by_item_id(data: Dataset) -> Ints:
    """(n_items,) catalogue rows in the order of their ids, which breaks ties: lists do not depend on row order."""
    return data.items.item_id.order()


def new_items(data: Dataset, as_of: int, days: int) -> Ints:
    """Catalogue rows of the items that came within `days` before `as_of` (µs)."""
    came = np.asarray(data.items.available_from)
    return np.flatnonzero((came > as_of - days * DAY) & (came <= as_of))


def retrieve(scores: Floats, mask: Bools, order: Ints, count: int) -> tuple[Ints, Ints]:
    """The `count` best columns of each row where `mask` holds, as (row, column) pairs; of equals, the first in `order`.

    A row with fewer allowed columns gives fewer pairs. One pass of selection, no full sort.
    """
    ranked = np.where(mask, scores, -np.inf)[:, order]
    count = min(count, ranked.shape[1])
    least = -np.partition(-ranked, count - 1, axis=1)[:, count - 1 :][:, :1]
    above = ranked > least
    level = (ranked == least) & (np.cumsum(ranked == least, axis=1) <= count - above.sum(axis=1, keepdims=True))
    row, column = np.nonzero((above | level) & np.isfinite(ranked))
    return row, order[column]


def top(pairs: Pairs, order: Ints, k: int) -> tuple[Pairs, Ints]:
    """The best `k` pairs of each user, best first, and their ranks from 1."""
    kept, rank = places(pairs, order, k)
    return pairs[kept], rank


def places(pairs: Pairs, order: Ints, k: int) -> tuple[Ints, Ints]:
    """Where the pairs of `top` stand among `pairs`, and their ranks."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    by = np.lexsort((place[pairs.item], -pairs.score, pairs.user))
    user = pairs.user[by]
    first = np.r_[True, user[1:] != user[:-1]] if len(user) else np.zeros(0, bool)
    rank = np.arange(len(user)) - np.maximum.accumulate(np.where(first, np.arange(len(user)), 0)) + 1
    return by[rank <= k], rank[rank <= k]


def reasons(
    data: Dataset, pairs: Pairs, standing: list[str], titles: NDArray[np.object_], categories: NDArray[np.object_]
) -> list[str]:
    """A short explanation a pair, by what carried it: what the user did with the item, the nearest other of their last
    interactions, or where in the shop the item stands. Where nobody tells, the nearest of all, if one is near.

    Near is: category levels shared, then brand, then title words; of equals, the latest interaction. `standing` is
    `standings`; `titles` and `categories` are (n_items,) as shown to people, "" where unknown.
    """
    users, place = np.unique(pairs.user, return_inverse=True)
    item, kind = _latest(data, users)

    def nearest(start: int) -> tuple[list[int], ...]:
        of, chosen = place[start : start + _AT_ONCE], pairs.item[start : start + _AT_ONCE]
        near, ground = nearness(data.items, chosen, item[of]), pairs.ground[start : start + _AT_ONCE, None]
        itself = item[of] == chosen[:, None]
        near = np.select([ground == ITSELF, ground == LIKE, ground == SHOP], [near * itself, near * ~itself, 0], near)
        best, at = near.argmax(axis=1), np.arange(len(chosen))
        return tuple(each.tolist() for each in (chosen, item[of, best], kind[of, best], near[at, best]))

    sentences: list[str] = []
    for columns in side_by_side(nearest, range(0, len(pairs.user), _AT_ONCE)):
        for i, h, deed, score in zip(*columns, strict=True):
            if score <= 0:
                sentences.append(f"{standing[i]} {categories[i] or 'the shop'}")
            elif h == i:
                sentences.append(f"because you {_DEEDS[EVENT_KINDS[deed]].format('it')} before")
            else:
                sentences.append(f"because you {_DEEDS[EVENT_KINDS[deed]].format(titles[h] or 'something like it')}")
    return sentences


def _latest(data: Dataset, users: Ints) -> tuple[Ints, Ints]:
    """(users, 50) items and kinds of each user's last interactions, latest first; item -1 beyond the first."""
    offsets = np.asarray(data.streams.offsets)
    back = offsets[users + 1][:, None] - 1 - np.arange(_LOOK_BACK)[None, :]
    there = back >= offsets[users][:, None]
    at = np.where(there, back, 0)
    if not len(data.streams.item):
        return np.full(at.shape, -1), np.ones(at.shape, int)
    return np.where(there, np.asarray(data.streams.item)[at], -1), np.asarray(data.streams.kind)[at]


class Described(Protocol):
    """What items are, by catalogue row; 0 is unknown."""

    @property
    def category(self) -> Ints:
        """(n_items, levels)"""
        ...

    @property
    def brand(self) -> Ints:
        """(n_items,)"""
        ...

    @property
    def tokens(self) -> Ints:
        """(n_items, words) of the title"""
        ...


def nearness(items: Described, item: Ints, others: Ints) -> Floats:
    """(n, others) how near each other item is to the item; 0 where nothing is shared, or the other is -1, none."""
    near = np.zeros(others.shape)
    row, place = np.nonzero(others >= 0)
    near[row, place] = _near(items, np.asarray(item)[row], others[row, place])
    return near


def _near(items: Described, item: Ints, other: Ints) -> Floats:
    """(n,) as `nearness`, of pairs."""
    category, brand, tokens = (np.asarray(part) for part in (items.category, items.brand, items.tokens))
    own = category[item]
    levels = np.cumprod((own == category[other]) & (own > 0), axis=1).sum(axis=1)
    maker = (brand[other] == brand[item]) & (brand[item] > 0)
    mine, theirs = (np.ascontiguousarray(tokens.T)[:, rows] for rows in (item, other))
    words = np.zeros(len(item))
    for word in mine:
        words += (word > 0) & np.logical_or.reduce([word == each for each in theirs], axis=0)
    return 4.0 * levels + 2.0 * maker + words / (tokens.shape[1] + 1)


def standings(data: Dataset, as_of: int) -> list[str]:
    """(n_items,) "popular in" for the upper half of a broad category's interactions, "new in", else "more from"."""
    count = np.bincount(np.asarray(data.streams.item), minlength=len(data.items.item_id))
    broad = np.asarray(data.items.category)[:, 0]
    new = np.asarray(data.items.available_from) > as_of - _NEW_DAYS * DAY
    words = np.where(new, "new in", "more from").astype("U10")
    for category in np.unique(broad):
        inside = np.flatnonzero(broad == category)
        popular = inside[(count[inside] > 0) & (count[inside] >= np.median(count[inside]))]
        words[popular] = "popular in"
    return list(words)
