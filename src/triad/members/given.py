"""Asks a ranking member about given candidates alone: what it gives to all other items goes to these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.chances import Blocks, Dense, opened
from triad.members.protocol import Retriever

STEPS = 1 << 32
"""More than any history holds."""


@dataclass(frozen=True)
class Given:
    """A retriever whose lists hold a query's candidates and nothing else."""

    retriever: Retriever
    state: Ints  # (k,) user · STEPS + history, ascending
    item: Ints  # (k, width) catalogue rows

    @classmethod
    def of(cls, retriever: Retriever, users: Ints, history: Ints, item: Ints) -> Given:
        """`item` (k, width) for the states (k,) of users after so many steps."""
        state = _state(users, history)
        order = np.argsort(state)
        return cls(retriever, state[order], item[order])

    def rank(self, data: Dataset, users: Ints, history: Ints) -> np.ndarray:
        """(q, n_items) probabilities, rows sum to 1; 0 for what is no candidate.

        Raises:
            TriadError: a query has no candidates.
        """
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """As `retriever` is opened."""
        return self.open_at(data, users, history, None)

    def open_at(self, data: Dataset, users: Ints, history: Ints, moment: Ints | None) -> Blocks:
        """As `retriever` is opened."""
        state = _state(users, history)
        place = np.minimum(np.searchsorted(self.state, state), len(self.state) - 1)
        if (lacking := self.state[place] != state).any():
            raise TriadError(
                f"{lacking.sum():,} of {len(state):,} queries have no candidates",
                where="lists",
                mend="give candidates for each query",
            )
        whole, item = opened(self.retriever, data, users, history, moment), self.item[place]

        def block(part: slice) -> Dense:
            asked = item[part]
            row = np.repeat(np.arange(len(asked)), asked.shape[1])
            chance = whole(part).at(row, asked.ravel()).reshape(asked.shape)
            total = chance.sum(axis=1, keepdims=True)
            scores = np.zeros((len(asked), len(data.items.item_id)))
            even = 1 / asked.shape[1]  # of a member that holds all of them for impossible
            scores[row, asked.ravel()] = np.where(total > 0, chance / np.where(total > 0, total, 1), even).ravel()
            return Dense(scores)

        return block


def _state(users: Ints, history: Ints) -> Ints:
    return np.asarray(users, np.int64) * STEPS + np.asarray(history, np.int64)
