"""A user's interactions before an exposure, computed for many exposures at once.

A state is a user and how many of their interactions have happened. Exposures of one page share it, so all work is done
once a state. Weights halve with age *from the state's last interaction*, so they depend on the state alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset

DAY = 86_400_000_000
"""µs"""


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


def item_weights(data: Dataset, states: States) -> csr_array:
    """(s, n_items) decayed weight of each item in each state; rows sum to 1, or to 0 where nothing was done."""
    item = np.asarray(data.streams.item)[states.step]
    shape = (states.count, len(data.items.item_id))
    matrix = csr_array((states.weight, item, states.start), shape=shape, copy=True)  # summed in place next
    matrix.sum_duplicates()
    return matrix


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
