"""Lists that leave out items that the user took before, for shops and benchmarks without repeat purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.chances import Blocks, Dense, opened
from triad.members.protocol import Retriever


@dataclass(frozen=True)
class MaskSeen:
    """`retriever`, with the probability of items in a state's history shared among all others."""

    retriever: Retriever

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities, rows sum to 1; 0 for what was taken before, unless that is all there is."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """As `retriever` is opened."""
        return self.open_at(data, users, history, None)

    def open_at(self, data: Dataset, users: Ints, history: Ints, moment: Ints | None) -> Blocks:
        """As `retriever` is opened."""
        users, history = np.asarray(users, np.int64), np.asarray(history, np.int64)
        whole = opened(self.retriever, data, users, history, moment)

        def block(part: slice) -> Dense:
            plain = whole(part).table()
            scores = np.array(plain)
            place, start, item, nth = _first_takes(data, users[part], history[part])
            for row, at, done in zip(scores, place, history[part], strict=True):
                mine = slice(start[at], start[at + 1])
                row[item[mine][nth[mine] < done]] = 0
            full = scores.sum(axis=1) == 0
            scores[full] = plain[full]
            scores /= scores.sum(axis=1, keepdims=True)
            return Dense(scores)

        return block


def _first_takes(data: Dataset, users: Ints, history: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Each query's user k (q,), whose distinct items are [start[k], start[k + 1]): the item, and its first step.

    A user's history is read once, however many queries ask for it.
    """
    distinct, place = np.unique(users, return_inverse=True)
    length = np.zeros(len(distinct), np.int64)
    np.maximum.at(length, place, history)
    owner = np.repeat(np.arange(len(distinct)), length)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    item = np.asarray(data.streams.item)[np.asarray(data.streams.offsets)[distinct][owner] + nth]
    _, first = np.unique(owner * len(data.items.item_id) + item, return_index=True)
    start = np.searchsorted(owner[first], np.arange(len(distinct) + 1))
    return place, start, item[first], nth[first]
