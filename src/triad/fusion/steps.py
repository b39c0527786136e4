"""The interactions before each query, and small counts over groups of rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Queries, steps_before
from triad.members.history import DAY

LONGEST = 2_500
"""Last interactions of a user that are read."""


class Steps:
    """(n,) the interactions before each query, by query, oldest first."""

    def __init__(self, data: Dataset, queries: Queries) -> None:
        self.queries, self.size = len(queries), len(data.items.item_id)
        self.query, step = steps_before(data, queries, LONGEST)
        streams = data.streams
        self.item, self.time, self.kind = (
            np.asarray(part)[step] for part in (streams.item, streams.time, streams.kind)
        )

    @cached_property
    def day(self) -> Ints:
        """(n,)"""
        return (self.time // DAY).astype(np.int64)

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Keys query · size + item of the distinct pairs, ascending, and (n,) the pair of each step."""
        return np.unique(self.query * self.size + self.item, return_inverse=True)

    @cached_property
    def visits(self) -> tuple[Ints, Ints]:
        """(queries + 1,) query k's visits, each a day, are [start[k], start[k + 1]); (n,) the visit of each step."""
        span = int(self.day.max(initial=0)) + 1
        key, visit = np.unique(self.query * span + self.day, return_inverse=True)
        return np.searchsorted(key // span, np.arange(self.queries + 1)), visit


def distinct(group: Ints, value: Ints, groups: int) -> Floats:
    """(groups,) how many different values each group has."""
    least = value.min(initial=0)
    span = int(value.max(initial=0)) - least + 1
    return np.bincount(np.unique(group * span + value - least) // span, minlength=groups).astype(np.float64)


def places_in(sorted_keys: Ints, keys: Ints) -> tuple[Ints, Bools]:
    """(n,) the place of each key, and whether it is there."""
    at = np.searchsorted(sorted_keys, keys)
    if not len(sorted_keys):
        return at, np.zeros(len(keys), bool)
    return at, sorted_keys[np.minimum(at, len(sorted_keys) - 1)] == keys
