"""How often each item was taken on each day of a log. What is kept follows items and days, and not the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.members.history import DAY
from triad.members.pairs import whole_users

_NARROW = 2**31
"""Numbers below it have 32 bits."""
_MANY = 16
"""Of so few times the pairs asked for, all items are counted."""


@dataclass(frozen=True)
class Takings:
    """Interactions of the kind that lists predict, counted by item, or group of items, and by day."""

    days: int  # days are counted from the first interaction's
    first_day: int
    items: int
    key: Ints  # (n,) item · days + day, ascending, of the days on which the item was taken
    until: Ints  # (n + 1,) takings of the keys before each
    kept: dict[tuple[int, int], Ints] = field(default_factory=dict, compare=False)
    """Day and days over → takings of all items."""

    @classmethod
    def of(cls, data: Dataset, *, firsts: bool = False) -> Takings:
        """The interactions of `data`.

        Args:
            firsts: only the first time that a user took the item.
        """
        streams, size = data.streams, len(data.items.item_id)
        time = np.asarray(streams.time)
        first, last = (int(time.min()) // DAY, int(time.max()) // DAY) if len(time) else (0, 0)
        days, keys = last - first + 2, []
        for user, steps in whole_users(data):
            item = np.asarray(streams.item[steps], np.int64)
            taken = np.flatnonzero(np.asarray(streams.kind[steps]) == data.meta.target_kind)
            if firsts:
                taken = taken[np.unique((user * size + item)[taken], return_index=True)[1]]
            keys.append(_narrow(item[taken] * days + time[steps][taken] // DAY - first, size * days))
        key = np.sort(np.concatenate(keys))
        starts = _starts(key)
        return cls(days, first, size, key[starts[:-1]], _narrow(starts, len(key)))

    def grouped(self, group: Ints) -> Takings:
        """With `group` (items,) in an item's place."""
        item, day = np.divmod(self.key, self.days)
        key = np.asarray(group, np.int64)[item] * self.days + day
        order = np.argsort(key, kind="stable")
        until = np.r_[0, np.cumsum(np.diff(self.until)[order])]
        starts, groups = _starts(key[order]), int(group.max(initial=0)) + 1
        return Takings(self.days, self.first_day, groups, key[order][starts[:-1]], until[starts])

    def day(self, moment: Ints) -> Ints:
        """The day of each moment (µs), from 0; days past the log's end count as the one after it."""
        return np.clip(moment // DAY - self.first_day, 0, self.days - 1)

    def taken(self, item: Ints, day: Ints, over: int) -> Ints:
        """(n,) interactions with each item on the `over` days that end the day before `day`."""
        if len(item) * _MANY < self.items or (day != day[:1]).any():
            return self._count(item, day, over)
        asked = int(day[0]), over  # blocks of a night's lists ask for the same day
        if asked not in self.kept:
            every = np.arange(self.items)
            counts = self._count(every, np.full(self.items, asked[0]), over)
            self.kept[asked] = _narrow(counts, int(self.until[-1]))
        return self.kept[asked][item].astype(np.int64)

    def _count(self, item: Ints, day: Ints, over: int) -> Ints:
        at = item.astype(np.int64) * self.days
        first, last = (self._before(at + each) for each in (np.maximum(day - over, 0), day))
        return np.subtract(last, first, dtype=np.int64)

    def _before(self, key: Ints) -> Ints:
        """(n,) takings whose keys are lower. Keys of another width would be searched in a copy of all."""
        return self.until[np.searchsorted(self.key, key.astype(self.key.dtype))]


def _starts(key: Ints) -> Ints:
    """Where each new value of `key` (n,), ascending, stands; then n."""
    return np.flatnonzero(np.r_[True, key[1:] != key[:-1], True]) if len(key) else np.zeros(1, np.int64)


def _narrow(values: Ints, largest: int) -> Ints:
    return values.astype(np.int32) if largest < _NARROW else values
