"""Runs networks over many rows: static batches in, arrays in row order out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.models.batches import STEPWISE, Batches
from triad.models.trunk import item_arrays
from triad.models.unit_batches import UnitBatches

SLOTS = 4096
"""Rows a batch holds where there are as many."""
MANY = 512
"""Rows from which on batches are only as long as their streams, so that a trace for any length pays."""


class Scorer:
    """A network compiled for scoring; keep it, as each new batch shape costs a trace.

    Args:
        network: one of `networks`.
        read: what to take of the network's output; each array of it has one row a slot.
    """

    def __init__(self, network: Any, read: Callable[[Any], Any] = lambda outputs: outputs) -> None:
        # layers branch on shapes alone, so that AutoGraph would rewrite their code for nothing
        self._make = partial(tf.function, lambda batch: read(network(batch, training=False)), autograph=False)
        self._call, self._any_length = self._make(), dict[str, Any]()
        self._tower = tf.function(network.trunk.tower.__call__, autograph=False)

    def outputs(self, batches: Batches | UnitBatches) -> Any:
        """The network's outputs for every row of `batches`, each an array (rows, …) or a mapping of such."""
        parts, order = [], []
        for rows, batch in batches():
            call = self._of_any_length(batch) if batches.trimmed else self._call
            parts.append(tf.nest.map_structure(lambda value: value.numpy(), call(batch)))
            order.append(np.pad(rows, (0, batches.slots - len(rows)), constant_values=-1))
        if not parts:
            raise ValueError("no rows to score")
        slot = np.concatenate(order)
        back = np.argsort(slot, kind="stable")[np.count_nonzero(slot < 0) :]
        return tf.nest.map_structure(lambda *pieces: np.concatenate(pieces)[back], *parts)

    def _of_any_length(self, batch: Any) -> Any:
        """What answers batches of these shapes, whatever their number of steps, by one trace."""
        spec = _any_length(batch)
        key = repr(spec)
        return self._any_length.setdefault(key, self._make(input_signature=[spec]))

    def items(self, data: Dataset) -> Floats:
        """(n_items, dim) the tower's outputs for the whole catalogue."""
        count = len(data.items.item_id)
        pieces = [
            self._tower(item_arrays(data.items, np.arange(start, min(start + SLOTS, count)))).numpy()
            for start in range(0, count, SLOTS)
        ]
        return np.concatenate(pieces).astype(np.float32)


def _any_length(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The shapes and types of a batch, whatever its number of steps."""
    return {
        name: _any_length(value)
        if isinstance(value, Mapping)
        else tf.TensorSpec((len(value), None) if name in STEPWISE and value.ndim > 1 else value.shape, value.dtype)
        for name, value in batch.items()
    }


def slots_for(rows: int) -> int:
    """Slots of a batch for so many rows: a power of two, so that few shapes are ever traced."""
    return min(SLOTS, 1 << max(rows - 1, 0).bit_length())


def score_rows(scorer: Scorer, data: Dataset, unit: str, rows: Ints, max_steps: int) -> Any:
    """The multi-task network's outputs for `rows` of `unit`."""
    slots, many = slots_for(len(rows)), len(rows) > MANY
    return scorer.outputs(UnitBatches(data, unit, rows, max_steps=max_steps, slots=slots, trimmed=many))
