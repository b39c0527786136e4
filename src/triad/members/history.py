"""A user's interactions before an exposure, computed for many exposures at once.

A state is a user and how many of their interactions have happened. Exposures of one page share it, so all work is done
once a state. Weights halve with age *from the state's last interaction*, so they depend on the state alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.narrow import narrow

DAY = 86_400_000_000
"""µs"""
PAUSE = DAY // 48
"""Without an interaction for half an hour, the next one begins a visit."""
LONGEST = 2_500
"""Last interactions of a user that members of lists look back on, however many visits they were: a bot has 50,000."""


@dataclass(frozen=True)
class States:
    """Unique states, and the last interactions of each. (s,) unless said otherwise."""

    user: Ints
    history: Ints
    inverse: Ints  # (rows asked,) each row's state
    start: Ints  # (s + 1,) state k's steps are [start[k], start[k + 1])
    owner: Ints  # (steps,) each step's state
    step: Ints  # (steps,) place in the streams, oldest first
    weight: Floats  # (steps,) decayed weight, a state's sum to 1

    @property
    def count(self) -> int:
        return len(self.user)

    def only(self, kept: Bools) -> States:
        """The steps that are `kept` (steps,)."""
        owner, weight = self.owner[kept], self.weight[kept]
        total = np.bincount(owner, weight, minlength=self.count)
        start = np.searchsorted(owner, np.arange(self.count + 1))
        return replace(self, start=start, owner=owner, step=self.step[kept], weight=weight / total[owner])

    def total(self, values: Floats | Bools) -> Floats:
        """(s,) weighted mean over each state's steps of `values` (steps,); 0 where a state has none."""
        return np.bincount(self.owner, self.weight * values, minlength=self.count).astype(np.float64)


def look_back(data: Dataset, users: Ints, history: Ints, *, recent: int, half_life_days: float) -> States:
    """The states of (users, history), each with its last `recent` interactions at most."""
    offsets = np.asarray(data.streams.offsets)
    users, history = np.asarray(users, np.int64), np.asarray(history, np.int64)
    _, first, inverse = np.unique(offsets[users] + users + history, return_index=True, return_inverse=True)
    user, done = users[first], history[first]
    length = np.minimum(done, recent)
    start = np.r_[0, np.cumsum(length)]
    owner = np.repeat(np.arange(len(user)), length)
    step = np.repeat(offsets[user] + done - length, length) + np.arange(start[-1]) - start[owner]
    time = np.asarray(data.streams.time[step] if len(step) else step, np.int64)
    age = np.zeros(len(step)) if not len(step) else (time[start[owner + 1] - 1] - time) / DAY
    weight = np.exp2(-age / half_life_days)
    weight /= np.bincount(owner, weight, minlength=len(user))[owner]
    return States(user, done, inverse, start, owner, step, weight)


@dataclass(frozen=True)
class Look:
    """How far a member of lists looks back. A visit is one step in time: its interactions are kept or left together."""

    recent: int  # visits
    half_life_days: float
    once: bool = False  # an item counts once a visit, however often it was taken in it: personal frequency by baskets

    def back(self, data: Dataset, users: Ints, history: Ints) -> States:
        """As `look_back`."""
        states = look_back(data, users, history, recent=LONGEST, half_life_days=self.half_life_days)
        visit = visits_ago(data, states)
        kept = visit < self.recent
        if self.once:
            item, size = np.asarray(data.streams.item)[states.step].astype(np.int64), len(data.items.item_id)
            key = (states.owner * (int(visit.max(initial=0)) + 1) + visit) * size + item
            first = np.zeros(len(key), bool)
            first[np.unique(key, return_index=True)[1]] = True
            kept &= first
        return states if kept.all() else states.only(kept)

    @classmethod
    def of(cls, numbers: dict[str, Any]) -> Look:
        """Takes its fields out of what a member saved, flat among its other numbers."""
        return cls(numbers.pop("recent"), numbers.pop("half_life_days"), numbers.pop("once", False))


def visits_ago(data: Dataset, states: States) -> Ints:
    """(steps,) visits that their state's user began since each step, 0 in the last."""
    time = np.asarray(data.streams.time)[states.step]
    begins = (np.diff(time, prepend=time[:1]) >= PAUSE) & (np.diff(states.owner, prepend=-1) == 0)
    visit = np.cumsum(begins)
    return visit[states.start[states.owner + 1] - 1] - visit


def search_look(recent: Sequence[int], half_life_days: Sequence[float], loss: Callable[[Look], float]) -> Look:
    """One of little `loss`: first how many visits, where old ones count most, then the half-life, then what counts."""
    tried: dict[Look, float] = {}

    def best(looks: Sequence[Look]) -> Look:
        tried.update({look: loss(look) for look in looks if look not in tried})
        return min(looks, key=lambda look: tried[look])

    look = best([Look(visits, max(half_life_days)) for visits in recent])
    look = best([replace(look, half_life_days=days) for days in half_life_days])
    return best([look, replace(look, once=True)])


def item_weights(data: Dataset, states: States) -> csr_array:
    """(s, n_items) decayed weight of each item in each state; rows sum to 1, or to 0 where nothing was done."""
    item = np.asarray(data.streams.item)[states.step]
    shape = (states.count, len(data.items.item_id))
    matrix = csr_array((states.weight, item, states.start), shape=shape, copy=True)  # summed in place next
    matrix.sum_duplicates()
    return narrow(matrix)


def closest(data: Dataset, states: States, vectors: Floats, items: Ints) -> Floats:
    """(rows,) largest cosine between each row's item and the items of its state; 0 where nothing was done.

    Args:
        vectors: (n_items, dim) unit vectors.
        items: (rows,) as `states.inverse`.
    """
    highest = np.zeros(len(items), np.float32)
    seen = np.asarray(data.streams.item)[states.step]
    length = np.diff(states.start)[states.inverse]
    for block in _blocks(length, 200_000):
        rows = block[length[block] > 0]
        if not len(rows):
            continue
        begin = np.r_[0, np.cumsum(length[rows])[:-1]]
        pair = np.repeat(np.arange(len(rows)), length[rows])
        step = states.start[states.inverse[rows]][pair] + np.arange(len(pair)) - begin[pair]
        cosine = np.einsum("nd,nd->n", vectors[seen[step]], vectors[items[rows]][pair])
        highest[rows] = np.maximum.reduceat(cosine, begin)
    return highest


def _blocks(length: Ints, steps: int) -> list[Ints]:
    """Rows in consecutive blocks of about `steps` steps each, so that memory stays flat."""
    block = np.cumsum(length) // steps
    return np.split(np.arange(len(length)), np.flatnonzero(np.diff(block)) + 1)


def pick(matrix: csr_array, rows: Ints, columns: Ints) -> Floats:
    """(n,) values of a sparse matrix at (rows, columns)."""
    if not len(rows):
        return np.zeros(0)
    matrix.sort_indices()
    return np.asarray(matrix[np.asarray(rows), np.asarray(columns)]).ravel()
