"""The items that may stand at the top of a list: each member's best, the user's own, what sells this week, what is new.

Members that were fitted before an item came know little of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.takings import Takings
from triad.members.chances import Chances
from triad.members.history import DAY

LATELY, NEW = 7, 14
"""Days over which takings count, and for which an item is new."""


@dataclass(frozen=True)
class Queries:
    """Who is asked about, after how many interactions, and when. (q,)"""

    users: Ints
    history: Ints
    moment: Ints  # µs

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, rows: Ints | slice) -> Queries:
        return Queries(self.users[rows], self.history[rows], self.moment[rows])


def lists_of(data: Dataset, rows: Ints) -> Queries:
    """`rows` of the unit lists."""
    lists = data.lists
    return Queries(*(np.asarray(part, np.int64)[rows] for part in (lists.user, lists.history, lists.time)))


@dataclass(frozen=True)
class Candidates:
    """(p,) pairs of a query and an item, by query, then by item; each once."""

    query: Ints
    item: Ints
    queries: int

    @cached_property
    def start(self) -> Ints:
        """(queries + 1,) query k's pairs are [start[k], start[k + 1])."""
        return np.searchsorted(self.query, np.arange(self.queries + 1))


@dataclass(frozen=True)
class Storefront:
    """What a shop shows to everybody on a day: what sells, and what is new."""

    takings: Takings
    came: Ints  # (items,) day that each came, counted as those of `takings`
    kept: dict[tuple[str, int, int], Ints] = field(default_factory=dict, compare=False)
    """What was said: blocks of lists ask for the same days."""

    @classmethod
    def of(cls, data: Dataset, takings: Takings) -> Storefront:
        """Of the items of `data`."""
        return cls(takings, np.asarray(data.items.available_from) // DAY - takings.first_day)

    def busiest(self, day: int, count: int) -> Ints:
        """At most `count` items: those taken most often over `LATELY` days; of equals the first in the catalogue."""
        if ("busy", day, count) not in self.kept:
            best = self._most_taken(np.arange(len(self.came)), day)[:count]
            self.kept["busy", day, count] = best[self._lately(best, day) > 0]
        return self.kept["busy", day, count]

    def newest(self, day: int, count: int) -> Ints:
        """At most `count` of the items that came in the `NEW` days before `day`, likewise, whether taken or not."""
        if ("new", day, count) not in self.kept:
            new = np.flatnonzero((self.came < day) & (self.came >= day - NEW))
            self.kept["new", day, count] = self._most_taken(new, day)[:count]
        return self.kept["new", day, count]

    def _lately(self, item: Ints, day: int) -> Ints:
        return self.takings.taken(item, np.full(len(item), day), LATELY)

    def _most_taken(self, item: Ints, day: int) -> Ints:
        return item[np.argsort(-self._lately(item, day), kind="stable")]


def steps_before(data: Dataset, queries: Queries, most: int) -> tuple[Ints, Ints]:
    """(n,) query, and place in the streams: the last `most` interactions before each query, oldest first."""
    length = np.minimum(queries.history, most)
    query = np.repeat(np.arange(len(queries)), length)
    nth = np.arange(len(query)) - np.repeat(np.cumsum(length) - length, length)
    begin = np.asarray(data.streams.offsets)[queries.users] + queries.history - length
    return query, begin[query] + nth


def propose(
    data: Dataset, front: Storefront, queries: Queries, chances: Mapping[str, Chances], each: int
) -> tuple[Candidates, dict[str, Floats]]:
    """The best `each` of every member, of the user's latest items, of what sold over `LATELY` days, of what is new.

    What every member holds for impossible is left out. Beside them what each member gives to each, (p,).
    """
    items = len(data.items.item_id)
    each = min(each, items - 1)
    first = np.arange(len(queries))[:, None] * items
    key = [first + of.best(each) for of in chances.values()]
    query, step = steps_before(data, queries, each)
    key.append(query * items + np.asarray(data.streams.item)[step])
    days = front.takings.day(queries.moment)
    for day in np.unique(days):
        named = np.concatenate([front.busiest(int(day), each), front.newest(int(day), each)])
        key.append(first[days == day] + named)
    query, item = np.divmod(np.unique(np.concatenate([part.ravel() for part in key])), items)
    scores = {name: of.at(query, item) for name, of in chances.items()}
    possible = np.any([values > 0 for values in scores.values()], axis=0)
    candidates = Candidates(query[possible], item[possible], len(queries))
    return candidates, {name: values[possible] for name, values in scores.items()}
