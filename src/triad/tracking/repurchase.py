"""When an item that a customer bought is due again. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.schema import EVENT_KINDS

ENOUGH = 5
"""Repeated purchases that tell how long an item lasts."""


def purchases(data: Dataset) -> tuple[Ints, Ints, Ints]:
    """User, item and time (µs) of every purchase, by user, then by item, then by time. (n,) each."""
    streams = data.streams
    bought = np.flatnonzero(np.asarray(streams.kind) == EVENT_KINDS.index("purchase"))
    user = np.searchsorted(np.asarray(streams.offsets), bought, side="right") - 1
    item, time = np.asarray(streams.item)[bought], np.asarray(streams.time)[bought]
    by = np.lexsort((time, item, user))
    return user[by], item[by], time[by]


def lasts(data: Dataset) -> Floats:
    """(n_items,) µs that usually lie between two purchases of an item by one customer; infinite where none tells.

    The median of the item's own repeats, where there are `ENOUGH`; else of its broad category's.
    """
    user, item, time = purchases(data)
    again = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    gap, of = np.diff(time)[again].astype(float), item[1:][again]
    broad = np.asarray(data.items.category)[:, 0]
    by_category = _medians(gap, broad[of], int(broad.max(initial=0)) + 1)
    own = _medians(gap, of, len(broad))
    by_category[0] = np.inf  # no category is known
    return np.where(np.isfinite(own), own, by_category[broad])


def _medians(values: Floats, group: Ints, groups: int) -> Floats:
    """(groups,) the median of each group with `ENOUGH` values; infinite for the others."""
    by = np.lexsort((values, group))
    sizes = np.bincount(group, minlength=groups)
    start = np.cumsum(sizes) - sizes
    result = np.full(groups, np.inf)
    told = sizes >= ENOUGH
    ordered = values[by]
    result[told] = (ordered[start[told] + (sizes[told] - 1) // 2] + ordered[start[told] + sizes[told] // 2]) / 2
    return result


def not_due(data: Dataset, as_of: int, *, repeats: Floats | None) -> tuple[Ints, Ints]:
    """User and item of what was bought and is not due at `as_of` (µs). (n,) each, by user.

    Args:
        repeats: how long items last (`lasts`); None: nothing is ever due, and all that was bought is given.
    """
    user, item, time = purchases(data)
    last = np.r_[(user[1:] != user[:-1]) | (item[1:] != item[:-1]), np.ones(min(len(user), 1), bool)]
    user, item, time = user[last], item[last], time[last]
    waits = np.ones(len(user), bool) if repeats is None else as_of - time < repeats[item]
    return user[waits], item[waits]
