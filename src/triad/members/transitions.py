"""Counts which item follows which: co-occurrence by order and distance, without a network."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, vstack

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.pairs import largest, pieces, train_steps


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
    count = np.bincount(item, minlength=size)
    by_item = np.argsort(item, kind="stable")
    start = np.searchsorted(item[by_item], np.arange(size + 1))
    parts = []
    for piece in pieces(2 * reach * count):
        steps = np.sort(by_item[start[piece.start] : start[piece.stop]])
        rows, columns, values = _following(user, item, steps, reach, (fade, backward))
        follows = csr_array((values, (rows - piece.start, columns)), shape=(piece.stop - piece.start, size))
        row = np.repeat(np.arange(piece.start, piece.stop), np.diff(follows.indptr))
        follows.data /= np.sqrt(count[row] * count[follows.indices]) + shrink
        follows.data[row == follows.indices] = 0  # taken again: not a neighbour's merit
        parts.append(largest(follows, neighbours))
    return csr_array(vstack(parts))


def _following(
    user: Ints, item: Ints, steps: Ints, reach: int, weight: tuple[float, float]
) -> tuple[Ints, Ints, Floats]:
    """Pairs of the item that each of the `steps` took and one near to it of that user, and each pair's weight."""
    rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    fade, backward = weight
    for distance in range(1, min(reach, len(item) - 1) + 1):
        for near, share in ((steps + distance, 1.0), (steps - distance, backward)):
            inside = (near >= 0) & (near < len(item))
            here, there = steps[inside], near[inside]
            same = user[here] == user[there]
            rows.append(item[here[same]])
            columns.append(item[there[same]])
            values.append(np.full(int(same.sum()), share * distance**-fade))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
