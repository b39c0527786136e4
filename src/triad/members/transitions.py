"""Counts which item follows which: co-occurrence by order and distance, without a network."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from triad.examples.dataset import Dataset
from triad.members.neighbours import largest, train_steps


def transitions(
    data: Dataset, *, reach: int, fade: float, backward: float, shrink: float, neighbours: int
) -> csr_array:
    """(n_items, n_items) how readily the column follows the row, the largest `neighbours` of each row kept.

    Two interactions of a user at distance d ≤ `reach` add d^−fade to the pair in the order taken, and `backward` times
    that to the opposite order; the sum is divided by sqrt(c_i c_j) + shrink, c counting interactions. With fade 0,
    backward 1 and no reach it is the cosine of `item_neighbours`; order and distance are what session-based
    recommenders found to matter (Ludewig & Jannach 2018, arXiv:1803.09587).
    """
    user, item = train_steps(data)
    size = len(data.items.item_id)
    rows, columns, values = [], [], []
    for distance in range(1, reach + 1):
        pairs = np.flatnonzero(user[distance:] == user[:-distance])
        if not len(pairs):  # the longest history is shorter
            break
        first, second = item[pairs], item[pairs + distance]
        rows += [first, second]
        columns += [second, first]
        values += [np.full(len(pairs), distance**-fade), np.full(len(pairs), backward * distance**-fade)]
    if not rows:
        return csr_array((size, size), dtype=np.float64)
    follows = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    follows.sum_duplicates()
    row = np.repeat(np.arange(size), np.diff(follows.indptr))
    count = np.bincount(item, minlength=size)
    follows.data /= np.sqrt(count[row] * count[follows.indices]) + shrink
    follows.data[row == follows.indices] = 0  # taken again: not a neighbour's merit
    return largest(follows, row, neighbours)
