"""The contract of a member: one model of its own, which the fusion and all later code call in the same way.

Each member class lives beside what it is made of; `MEMBERS` names them all, by the stage that makes them.
The stage `fuse` itself makes three: `popularity`, `logistic`, and `item_knn`, which it takes from `similarity`.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from triad.examples.dataset import Dataset
from triad.features.dataset import Floats, Ints


class Member(Protocol):
    """A fitted model. `tasks` are the pointwise tasks it scores; `ranks` says whether it orders the catalogue."""

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def ranks(self) -> bool: ...

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Scores of exposure `rows`: binary (n,) probability; multiclass (n, classes) probability; regression (n,).

        Of `tasks`, those that it scores; of None, all. What only other tasks need is not computed.
        """
        ...

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probability of the next item, rows summing to 1, after each user's first `history` steps."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `load` needs into `folder`."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Member:
        """The member that `save` wrote."""
        ...


MEMBERS = {
    "finetune": "triad.members.network:Ranker",
    "pretrain": "triad.members.sequence:Sequence",
    "similarity": "triad.members.item_similarity:Similarity",
    "item_knn": "triad.members.item_similarity:Similarity",
    "transitions": "triad.members.linear:Linear",
    "ease": "triad.members.linear:Linear",
    "successors": "triad.members.linear:Linear",
    "attributes": "triad.members.linear:Linear",
    "profile": "triad.members.trees:Profile",
    "informed": "triad.members.stacked_trees:Informed",
    "logistic": "triad.members.logistic:Logistic",
    "popularity": "triad.members.popularity:Popularity",
}
"""Named by text, so that asking for one imports no other's framework."""


def load_member(name: str, folder: Path) -> Member:
    """The member called `name` from the folder its stage wrote."""
    module, _, kind = MEMBERS[name].partition(":")
    member: Member = getattr(importlib.import_module(module), kind).load(folder)
    return member
