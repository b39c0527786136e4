"""Batches of the rows of one unit, whatever it reads: {unit: arrays}, of one static shape."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.encoders import ENCODERS
from triad.encoders.base import as_input
from triad.encoders.user import User
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.models.batches import Batch, Batches, Catalogue, padded
from triad.models.reader import POINTERS


class RowBatches:
    """Rows that read no history, each on its own.

    Args:
        item, user: (n,) catalogue rows that each row reads, of None none.
        columns: further arrays (n, …) that a batch carries along.
        together: as `Batches` has it.
    """

    def __init__(
        self,
        data: Dataset,
        count: int,
        *,
        item: Ints | None,
        user: Ints | None,
        slots: int,
        columns: Batch,
        together: int = 1,
    ) -> None:
        self._packed, self.slots = slots, together * slots
        self._data, self._count, self._item, self._user, self._columns = data, count, item, user, columns
        self._catalogue = None if item is None else Catalogue(data.items, self.slots)

    def __len__(self) -> int:
        """Rows in all."""
        return self._count

    def pack(self, seed: tuple[int, ...] | None = None) -> list[tuple[Ints]]:
        """The batches of an epoch, each its rows, shuffled by `seed`, in order without one."""
        order = np.arange(self._count)
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        return [(order[start : start + self._packed],) for start in range(0, self._count, self._packed)]

    def build(self, rows: Ints) -> Batch:
        """The arrays of one batch."""
        long = self.slots - len(rows)
        batch: Batch = {"mask": np.pad(np.ones(len(rows), np.float32), (0, long))}
        if self._catalogue is not None and self._item is not None:
            named = {"candidate": padded(np.asarray(self._item[rows], np.int32), long)}
            items, local = self._catalogue.name(named)
            batch |= {"items": items, **local}
        if self._user is not None:
            users = User.arrays(self._data.users, self._user[rows])
            batch |= {name: padded(values, long) for name, values in users.items()}
            batch["segment"] = np.arange(self.slots, dtype=np.int32)
        return batch | {name: padded(as_input(values[rows]), long) for name, values in self._columns.items()}


class UnitBatches:
    """The `rows` of `unit` in batches of its inputs, and of the labels of `tasks`.

    Args:
        max_steps: interactions the trunk reads at once.
        slots: rows that one of `pack` holds.
        together: how many of those a batch is built from, joined.
        tasks: whose labels a batch carries, of None none.
        trimmed: as `Batches` has it.
    """

    def __init__(
        self,
        data: Dataset,
        unit: str,
        rows: Ints,
        *,
        max_steps: int,
        slots: int,
        together: int = 1,
        tasks: Collection[str] | None = None,
        trimmed: bool = False,
    ) -> None:
        self.unit, self.slots, self.trimmed = unit, together * slots, trimmed
        held, inputs = data.units[unit], UNITS[unit].inputs
        columns: Batch = {}
        for name in inputs:
            if name not in POINTERS:
                columns |= ENCODERS[name].arrays(held, rows)
        if tasks is not None:
            columns["labels"] = labels_of(data, unit, rows, tasks)
        self._batches: Any
        size: dict[str, Any] = {"slots": slots, "columns": columns, "together": together}
        if "history" in inputs:
            item = held.item[rows] if "item" in inputs else np.zeros(len(rows), np.int32)
            user, history = held.user[rows], held.history[rows]
            self._batches = Batches(data, user, history, item, max_steps=max_steps, trimmed=trimmed, **size)
        else:
            item, user = (getattr(held, name)[rows] if name in inputs else None for name in ("item", "user"))
            self._batches = RowBatches(data, len(rows), item=item, user=user, **size)

    def __len__(self) -> int:
        """Rows in all."""
        return len(self._batches)

    def pack(self, seed: tuple[int, ...] | None = None) -> list[tuple[Ints, ...]]:
        """The batches of an epoch, the last array of each its rows, shuffled by `seed`, in order without one."""
        packed: list[tuple[Ints, ...]] = self._batches.pack(seed)
        return packed

    def build(self, planned: tuple[Ints, ...]) -> dict[str, Batch]:
        """The arrays of one batch of `pack`."""
        return {self.unit: self._batches.build(*planned)}

    def __call__(self, seed: tuple[int, ...] | None = None) -> Iterator[tuple[Ints, dict[str, Batch]]]:
        """Each batch of an epoch, beside the rows its slots hold."""
        for planned in self.pack(seed):
            yield planned[-1], self.build(planned)


def labels_of(data: Dataset, unit: str, rows: Ints, tasks: Collection[str]) -> Floats:
    """(rows, tasks) labels of those of `tasks` that are the unit's, in the order of the dataset's."""
    kept = [place for place, name in enumerate(data.meta.tasks[unit]) if name in tasks]
    return np.asarray(data.units[unit].labels[rows], np.float32)[:, kept]
