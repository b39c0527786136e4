"""What a ranking member says of some queries, of which only what is asked for is computed.

A table of all queries and items costs most, so whoever needs the best of a list, or a few pairs, asks for these alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.protocol import Retriever
from triad.ranking import target_ranks, without_ties
from triad.statistics import calibration
from triad.statistics.calibration import LEAST, POWERS

WIDTH = 32
"""Items of which the best is found first: those of the best ones alone are looked through for a whole list's best."""
CACHED = 200_000
"""Cells of a table that are worked on at once."""


class Chances(Protocol):
    """Probabilities of the next item, of queries (q) and the catalogue (n_items)."""

    def best(self, each: int) -> Ints:
        """(q, each) the likeliest items, in no order."""

    def at(self, query: Ints, item: Ints) -> Floats:
        """(p,) of pairs, which stand by query."""

    def table(self) -> Floats:
        """(q, n_items)."""

    def log_powers(self, query: Ints, target: Ints) -> Floats:
        """(t, powers) as `statistics.calibration.log_powers` of the table."""

    def ranks(self, query: Ints, target: Ints) -> Ints:
        """(t,) as `ranking.target_ranks` of the table; `query` ascends."""


Blocks = Callable[[slice], Chances]
"""What is said of some of the queries that a member was opened for."""


Opens = Callable[[Dataset, Ints, Ints, Ints], Blocks]
"""Data, users, history and moment of queries → what is said of them."""


@runtime_checkable
class Opener(Protocol):
    """A retriever that prepares once what many blocks of queries share."""

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """For the queries of `Retriever.rank`."""


@runtime_checkable
class Timely(Protocol):
    """An opener whose answers follow what is taken these days."""

    def open_at(self, data: Dataset, users: Ints, history: Ints, moment: Ints | None) -> Blocks:
        """As `Opener.open`; `moment` (q,) µs says when each is asked: of None, after all that `data` holds."""


@runtime_checkable
class Indexed(Protocol):
    """A retriever that an approximate index can answer for."""

    def indexed(self, data: Dataset) -> Opens:
        """What opens it, as `Timely.open_at` does, with an index over the catalogue of `data`."""


def opened(member: Retriever, data: Dataset, users: Ints, history: Ints, moment: Ints | None) -> Blocks:
    """`member` for these queries; one that prepares nothing is asked for the table of each block.

    Args:
        moment: (q,) µs, when each is asked; of None, after all that `data` holds.
    """
    if isinstance(member, Timely):
        return member.open_at(data, users, history, moment)
    if isinstance(member, Opener):
        return member.open(data, users, history)
    return lambda part: Dense(member.rank(data, users[part], history[part]))


@dataclass(frozen=True)
class Dense:
    """All of them."""

    values: Floats  # (q, n_items)

    def best(self, each: int) -> Ints:
        parts = [largest(self.values[rows], each) for rows in bands(*self.values.shape)]
        return np.concatenate(parts) if parts else np.zeros((0, each), int)

    def at(self, query: Ints, item: Ints) -> Floats:
        return self.values[query, item].astype(np.float64)

    def table(self) -> Floats:
        return self.values

    def log_powers(self, query: Ints, target: Ints) -> Floats:
        return calibration.log_powers(self.values, query, target)

    def ranks(self, query: Ints, target: Ints) -> Ints:
        return target_ranks(self.values, query, target)


@dataclass(frozen=True)
class Shares:
    """A distribution over the catalogue that all queries share."""

    share: Floats  # (n_items,)
    order: Ints  # (n_items,) from the largest; of equals the first of the catalogue

    @cached_property
    def falling(self) -> Floats:
        """(n_items,) shares from the largest."""
        return self.share[self.order]

    @cached_property
    def sums(self) -> Floats:
        """(powers, n_items + 1) sums of powers of the first so many of `falling`."""
        raised = self.falling ** np.array(POWERS)[:, None]
        return np.concatenate([np.zeros((len(POWERS), 1)), np.cumsum(raised, axis=1)], axis=1)

    @classmethod
    def of(cls, share: Floats) -> Shares:
        return cls(share, np.argsort(-share, kind="stable"))


@dataclass(frozen=True)
class Sparse:
    """Few items of each query stand out from what all queries share."""

    rows: csr_array  # (q, n_items) what is added
    rest: Floats  # (q,) weight of `shares`
    shares: Shares

    def best(self, each: int) -> Ints:
        """Of the items that stand out, and the first of those that all share."""
        if not each:
            return np.zeros((len(self.rest), 0), np.int64)
        share, common, size = self.shares.share, self.shares.order[:each], np.diff(self.rows.indptr)
        query, own = np.repeat(np.arange(len(size)), size), self.rows.indices
        widest = int(size.max(initial=0))
        item = np.zeros((len(size), widest + each), np.int64)
        chance = np.full(item.shape, -np.inf)  # of nothing
        item[:, widest:], chance[:, widest:] = common, self.rest[:, None] * share[common]
        nth = np.arange(len(own)) - np.repeat(self.rows.indptr[:-1], size)
        item[query, nth], chance[query, nth] = own, self.rows.data + self.rest[query] * share[own]
        among = np.full(len(share), -1)  # place among those that all share
        among[common] = np.arange(len(common))
        twice = among[own] >= 0
        chance[query[twice], widest + among[own[twice]]] = -np.inf
        return np.take_along_axis(item, np.argpartition(-chance, each - 1, axis=1)[:, :each], axis=1)

    def at(self, query: Ints, item: Ints) -> Floats:
        chance = self.rest[query] * self.shares.share[item]
        start = np.searchsorted(query, np.arange(len(self.rest) + 1))
        line = np.zeros(self.rows.shape[1])
        for each in np.flatnonzero(np.diff(start)).tolist():
            mine, (column, value) = slice(start[each], start[each + 1]), self._row(each)
            line[column] = value
            chance[mine] += line[item[mine]]
            line[column] = 0
        return chance

    def table(self) -> Floats:
        table = np.outer(self.rest, self.shares.share).astype(np.float32)
        return added(table, self.rows)

    def log_powers(self, query: Ints, target: Ints) -> Floats:
        """What all share is summed once; the few that stand out are taken out of the sum and put in as they are."""
        powers, shares = np.array(POWERS), self.shares
        own = np.log(np.maximum(self.at(query, target), LEAST))
        totals = np.empty((len(self.rest), len(powers)))
        for each, rest in enumerate(self.rest.tolist()):
            column, value = self._row(each)
            common = np.maximum(rest * shares.share[column], LEAST)
            whole = np.maximum(value + rest * shares.share[column], LEAST)
            above = len(shares.falling) - int(np.searchsorted(shares.falling[::-1], LEAST / rest)) if rest else 0
            below = (len(shares.falling) - above) * LEAST**powers
            raised = np.exp(powers[:, None] * np.log(whole)) - np.exp(powers[:, None] * np.log(common))
            totals[each] = rest**powers * shares.sums[:, above] + below + raised.sum(axis=1)
        return powers * own[:, None] - np.log(totals)[query]

    def ranks(self, query: Ints, target: Ints) -> Ints:
        """Counts those that stand out, and of the others only how far down what all share reaches."""
        own, shares = self.at(query, target), self.shares
        place = np.empty(len(query), np.int64)
        bounds = np.flatnonzero(np.diff(query, prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            each, (column, value) = int(query[first]), self._row(int(query[first]))
            falling, common = self.rest[each] * shares.falling, self.rest[each] * shares.share[column]
            least = own[first:last]
            place[first:last] = len(falling) - np.searchsorted(falling[::-1], least)
            for part, sign in ((common + value, 1), (common, -1)):
                place[first:last] += sign * (len(part) - np.searchsorted(np.sort(part), least))
        return without_ties(place, query)

    def _row(self, query: int) -> tuple[Ints, Floats]:
        mine = slice(self.rows.indptr[query], self.rows.indptr[query + 1])
        return self.rows.indices[mine], self.rows.data[mine]


def added(table: Floats, rows: csr_array) -> Floats:
    """`table` (q, n_items) with `rows` added in place, whose pairs stand once each."""
    table[np.repeat(np.arange(len(table)), np.diff(rows.indptr)), rows.indices] += rows.data
    return table


def bands(rows: int, columns: int) -> Iterator[slice]:
    """Some rows of a table after the other, which the processor's cache holds: few calls, each of them long."""
    step = max(1, CACHED // max(columns, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def largest(rows: Floats, each: int) -> Ints:
    """(r, each) places of the largest of each of `rows` (r, n), in no order.

    A list's best are in the `each` disjoint parts whose maxima are the largest: one cheap pass instead of a partition.
    """
    parts = rows.shape[1] // WIDTH
    if parts < 4 * each or not each:
        return np.argpartition(-rows, each - 1, axis=1)[:, :each]
    whole = rows[:, : parts * WIDTH].reshape(len(rows), WIDTH, parts)
    part = np.argpartition(-whole.max(axis=1), each - 1, axis=1)[:, :each]
    place = (np.arange(WIDTH)[:, None] * parts + part[:, None]).reshape(len(rows), -1)
    beyond = np.arange(parts * WIDTH, rows.shape[1])  # what the parts leave over
    place = np.concatenate([place, np.broadcast_to(beyond, (len(rows), len(beyond)))], axis=1)
    best = np.argpartition(-np.take_along_axis(rows, place, axis=1), each - 1, axis=1)[:, :each]
    return np.take_along_axis(place, best, axis=1)
