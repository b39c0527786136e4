"""The naive member: the most popular items and the base rates. Every other member must beat it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.chances import Blocks, Shares, Sparse
from triad.members.history import DAY
from triad.members.item_index import align_share
from triad.members.labelled import labelled
from triad.tasks import LABELS
from triad.texts import Texts

HALF_LIFE_DAYS = 14.0
"""Days after which a taken item counts half."""
MEMBERS = Recipe("popularity", "Popularity", ("RowScorer", "Retriever"))


def item_shares(data: Dataset, half_life_days: float = HALF_LIFE_DAYS) -> Floats:
    """(n_items,) share of each item in train interactions of the kind that queries ask for, older ones counting less.

    One interaction is added to each item, so that no item is impossible.
    """
    streams = data.streams
    used = (np.asarray(streams.split) == 0) & (np.asarray(streams.kind) == data.meta.target_kind)
    age = (data.meta.windows["train"][1] - np.asarray(streams.time)[used]) / DAY
    size = len(data.items.item_id)
    count = np.bincount(np.asarray(streams.item)[used], np.exp2(-age / half_life_days), minlength=size)
    return (count + 1) / (count.sum() + size)


@dataclass(frozen=True)
class Popularity:
    """Decayed shares of items, and one constant a task."""

    item_id: Texts  # (known,) sorted
    share: Floats  # (known,)
    constants: dict[str, list[float]]  # binary and regression: one number; multiclass: one a class; orders: none

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.constants)

    @classmethod
    def make(cls, bench: Bench, name: str) -> Popularity:
        """Of the examples alone."""
        return cls.fit(bench.data, bench.params.tasks)

    @classmethod
    def fit(
        cls, data: Dataset, tasks: Mapping[str, TaskParams], *, half_life_days: float = HALF_LIFE_DAYS
    ) -> Popularity:
        """Train rates, class shares and medians; what the label says where it knows better.

        Raises:
            TriadError: a task has no label in train.
        """
        order = data.items.item_id.order()
        constants = {name: _constant(data, name, task) for name, task in tasks.items() if not KINDS[task.kind].ranks}
        return cls(data.items.item_id[order], item_shares(data, half_life_days)[order], constants)

    def refit(self, bench: Bench, name: str) -> Popularity:
        """Anew on all days."""
        return Popularity.fit(bench.data, bench.params.tasks)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """The same score for every row, of an order the product's share; shapes as `Member.predict`."""
        wide = {task: np.asarray(value) for task, value in self.constants.items() if tasks is None or task in tasks}
        return {
            task: np.tile(value, (len(rows), 1))
            if task in data.meta.classes
            else self._of_rows(data, task, rows, value)
            for task, value in wide.items()
        }

    def _of_rows(self, data: Dataset, task: str, rows: Ints, constant: Floats) -> Floats:
        if len(constant):
            return np.full(len(rows), constant[0])
        share = align_share(self.item_id.places(data.items.item_id), self.share)
        return np.asarray(share[np.asarray(data.units[data.unit_of(task)].item)[rows]])

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) the same shares for everybody."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """Shares are aligned once."""
        shares = Shares.of(align_share(self.item_id.places(data.items.item_id), self.share))

        def block(part: slice) -> Sparse:
            count = len(users[part])
            return Sparse(csr_array((count, len(shares.share))), np.ones(count), shares)

        return block

    def save(self, folder: Path) -> None:
        """The ids, an array and the constants."""
        folder.mkdir(parents=True, exist_ok=True)
        self.item_id.save(folder / "item_id.arrow")
        np.save(folder / "share.npy", self.share, allow_pickle=False)
        write_json(folder / "constants.json", self.constants)

    @classmethod
    def load(cls, folder: Path) -> Popularity:
        """What `save` wrote."""
        share = np.load(folder / "share.npy", allow_pickle=False)
        return cls(Texts.load(folder / "item_id.arrow"), share, read_json(folder / "constants.json"))


def _constant(data: Dataset, name: str, task: TaskParams) -> list[float]:
    kind, naive = KINDS[task.kind], LABELS[task.label].naive
    if kind.orders:
        return []
    _, label = labelled(data, name, "train", both=kind.is_event)
    constant = kind.constant(label, len(data.meta.classes.get(name, ()))) if naive is None else naive
    return [float(each) for each in np.atleast_1d(constant)]
