"""Batches of one static shape: a fixed number of segments and of slots that read a state; unused ones are masked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Ints
from triad.encoders.base import as_input
from triad.encoders.history import History
from triad.encoders.user import User
from triad.examples.dataset import Dataset
from triad.features.dataset import Items
from triad.models.segments import segment
from triad.models.trunk import item_arrays

Batch = dict[str, Any]

WHOLE = 8
"""Steps of a batch that is trimmed are a multiple of it."""
STEPWISE = ("item", "kind", "gap", "hidden")
"""The arrays of a batch that are (segments, steps)."""


@dataclass(frozen=True)
class Shape:
    """Static sizes of a batch: `segments` streams of `steps` interactions, `slots` rows, `items` catalogue rows."""

    segments: int
    steps: int
    slots: int
    items: int


def padded(values: NDArray[Any], more: int) -> NDArray[Any]:
    """`values` with so many rows more: of zeros where they are whole numbers, else of NaN."""
    fill = np.nan if np.issubdtype(values.dtype, np.floating) else 0
    return np.pad(values, ((0, more),) + ((0, 0),) * (values.ndim - 1), constant_values=fill)


class Catalogue:
    """Lists of the items that batches name, at most `most` each, so that each goes through the tower once."""

    def __init__(self, items: Items, most: int) -> None:
        self.size, self._items = min(most, len(items.item_id)), items
        self._whole = item_arrays(items) if self.size == len(items.item_id) else None

    def name(self, rows: Batch) -> tuple[Batch, Batch]:
        """The tower's input for the catalogue rows in `rows`, and `rows` as places in it."""
        if self._whole is not None:
            return self._whole, rows
        items = np.unique(np.concatenate([values.reshape(-1) for values in rows.values()]))
        local = {name: np.searchsorted(items, values).astype(np.int32) for name, values in rows.items()}
        return item_arrays(self._items, np.pad(items, (0, self.size - len(items)))), local


class Batches:
    """The rows that read states of `data`, cut into segments once and packed into batches as often as wanted.

    Args:
        data: the night's examples.
        user: (n,) catalogue row of each row's user.
        history: (n,) interactions each row's state has seen.
        item: (n,) catalogue row each row scores.
        max_steps: interactions the trunk reads at once.
        slots: rows a batch holds.
        columns: further arrays (n, …) that a batch carries along, `padded`.
        extra_items: how many further catalogue rows a batch may name (negatives).
        density: the share of the rows that a `pack` takes.
        together: how many of those that `pack` gives a batch is built from, joined.
        trimmed: whether a batch is as long as the longest segment in it, and no longer; those of like length then come
            together. Else all have `max_steps`.
    """

    def __init__(
        self,
        data: Dataset,
        user: Ints,
        history: Ints,
        item: Ints,
        *,
        max_steps: int,
        slots: int,
        columns: Batch | None = None,
        extra_items: int = 0,
        density: float = 1.0,
        together: int = 1,
        trimmed: bool = False,
    ) -> None:
        self.trimmed = trimmed
        self.segments = segment(user, history, max_steps)
        self._data, self._item, self._columns = data, np.asarray(item), columns or {}
        rows, segments = len(self._item), len(self.segments.user)
        # as many segments as fill the slots on average, so that neither runs out long before the other
        width = min(math.ceil(slots * segments / max(rows * density, 1)), slots, max(segments, 1))
        self._packed = width, slots
        named = together * (width * max_steps + slots) + extra_items
        self._catalogue = Catalogue(data.items, named)
        self.shape = Shape(together * width, max_steps, together * slots, self._catalogue.size)
        self._order = np.argsort(self.segments.segment, kind="stable")
        self._bounds = np.searchsorted(self.segments.segment[self._order], np.arange(segments + 1))

    def __len__(self) -> int:
        """Rows in all."""
        return len(self._item)

    @property
    def slots(self) -> int:
        """Rows a batch holds."""
        return self.shape.slots

    def pack(self, seed: tuple[int, ...] | None = None, share: float = 1.0) -> list[tuple[Ints, Ints]]:
        """The batches of an epoch, each (segments, rows), shuffled by `seed`, in order without one.

        Of a `share` below 1 so many of the rows, drawn by `seed`.

        A segment's rows stay together unless they are more than a batch holds.
        """
        order = np.arange(len(self.segments.user))
        if self.trimmed:
            order = np.argsort(self.segments.length, kind="stable")
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        kept, (segments, slots) = np.ones(len(self), bool), self._packed
        if share < 1:
            kept = np.random.default_rng((*(seed or ()), 1)).random(len(self)) < share
        packed: list[tuple[Ints, Ints]] = []
        chosen: list[int] = []
        pieces: list[Ints] = []
        taken = 0

        def close() -> None:
            nonlocal chosen, pieces, taken
            if chosen:
                packed.append((np.array(chosen, np.int64), np.concatenate(pieces)))
            chosen, pieces, taken = [], [], 0

        for one in order.tolist():
            rows = self._order[self._bounds[one] : self._bounds[one + 1]]
            rows = rows[kept[rows]]
            for start in range(0, len(rows), slots):
                piece = rows[start : start + slots]
                if taken + len(piece) > slots or len(chosen) == segments:
                    close()
                chosen.append(one)
                pieces.append(piece)
                taken += len(piece)
        close()
        return packed

    def build(self, chosen: Ints, rows: Ints, negatives: Ints | None = None) -> Batch:
        """The arrays of one batch: `chosen` segments, the `rows` that read their states, catalogue rows `negatives`.

        Items are named by their place in the batch's own list `items`, so each goes through the tower once.
        """
        segments, streams = self.segments, self._data.streams
        length = self.shape.steps
        if self.trimmed:
            length = min(length, -(-max(1, int(segments.length[chosen].max(initial=0))) // WHOLE) * WHOLE)
        steps = np.arange(length)
        real = steps < segments.length[chosen][:, None]
        first = (streams.offsets[segments.user[chosen]] + segments.first[chosen])[:, None]
        place = np.where(real, first + steps, 0)
        wide, long = self.shape.segments - len(chosen), self.shape.slots - len(rows)

        def events(values: NDArray[Any]) -> Ints:
            return np.pad(np.where(real, values, 0).astype(np.int32), ((0, wide), (0, 0)))

        none = np.zeros(place.shape, np.int32)
        taken = {"item": streams.item[place], **History.arrays(streams, place)} if len(streams.item) else {}
        by_number = np.argsort(chosen)
        where = by_number[np.searchsorted(chosen, segments.segment[rows], sorter=by_number)]
        named = {"item": events(taken.pop("item", none)), "candidate": padded(self._item[rows], long).astype(np.int32)}
        if negatives is not None:
            named["negatives"] = np.asarray(negatives, np.int32)
        items, local = self._catalogue.name(named)
        users = User.arrays(self._data.users, segments.user[chosen])
        return {
            "items": items,
            **{name: np.pad(values, ((0, wide), (0, 0))) for name, values in users.items()},
            **{name: events(taken.get(name, none)) for name in ("kind", "gap")},
            "segment": padded(where, long).astype(np.int32),
            "step": padded(segments.step[rows], long).astype(np.int32),
            "mask": np.pad(np.ones(len(rows), np.float32), (0, long)),
            **local,
            **{name: padded(as_input(values[rows]), long) for name, values in self._columns.items()},
        }

    def __call__(self, seed: tuple[int, ...] | None = None) -> Iterator[tuple[Ints, Batch]]:
        """Each batch of an epoch, beside the rows its slots hold."""
        for chosen, rows in self.pack(seed):
            yield rows, self.build(chosen, rows)


class HiddenBatches(Batches):
    """Batches whose rows ask for interactions and not for what follows: `history` counts the one asked for itself.

    A batch says in `hidden` which items its segments must not show: those asked for, wherever the segment holds them.
    """

    def build(self, chosen: Ints, rows: Ints, negatives: Ints | None = None) -> Batch:
        batch = super().build(chosen, rows, negatives)
        hidden = np.zeros(batch["item"].shape, bool)
        slots = batch["mask"] > 0
        segment, item = batch["segment"][slots], batch["candidate"][slots]
        np.logical_or.at(hidden, segment, batch["item"][segment] == item[:, None])
        return {**batch, "hidden": hidden & (batch["kind"] > 0)}
