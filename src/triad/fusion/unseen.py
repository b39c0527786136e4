"""A member whose lists leave out what the user took before: for shops and benchmarks where nothing is taken twice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.features.dataset import Dataset, Floats, Ints
from triad.fusion.members import Member


@dataclass(frozen=True)
class Unseen:
    """`member`, with the probability of items in a state's history shared among all others. Asked, never saved."""

    member: Member

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.member.tasks

    @property
    def ranks(self) -> bool:
        return self.member.ranks

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """As the member."""
        return self.member.predict(data, rows, tasks)

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities; 0 for what was taken before, rows sum to 1."""
        scores = np.array(self.member.rank(data, users, history))
        length = np.asarray(history, np.int64)
        query = np.repeat(np.arange(len(length)), length)
        nth = np.arange(len(query)) - np.repeat(np.cumsum(length) - length, length)
        scores[query, np.asarray(data.streams.item)[np.asarray(data.streams.offsets)[users][query] + nth]] = 0
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def save(self, folder: Path) -> None:
        """As the member."""
        self.member.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Unseen:
        """Not to be called: what was saved is the member, to be wrapped again."""
        raise NotImplementedError
