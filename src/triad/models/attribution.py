"""Which steps of a history carry a network's output: integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365).

The path leads from a history of empty steps, which stand where they stood but are of no item, to the history itself.
What the shares leave of the difference between its two ends is the completeness gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.models.multitask import MultiTaskNetwork
from triad.models.unit_batches import UnitBatches

POINTS = 32
"""Points of the path; half as many leave twice the gap."""


@dataclass(frozen=True)
class Carried:
    """What each of a row's last steps puts in, in log odds, oldest first; and the gap."""

    steps: Ints  # places in the streams
    shares: Floats
    whole: float  # the output less that of the empty history
    gap: float


class Attribution:
    """Asks `network` about one of its tasks; keep it, as each shape of batches costs a trace."""

    def __init__(self, network: MultiTaskNetwork, task: str, points: int = POINTS) -> None:
        self._network, self._task, self._points = network, task, points
        self._of = tf.function(self._integrated)

    def of(self, data: Dataset, row: int, unit: str = "exposures") -> Carried:
        """Of one row."""
        batches = UnitBatches(data, unit, np.array([row]), max_steps=self._network.trunk.max_steps, slots=1)
        ((_, batch),) = batches()
        shares, whole = (value.numpy() for value in self._of(batch))
        arrays, held = batch[unit], data.units[unit]
        length = int(arrays["step"][0])
        end = int(np.asarray(data.streams.offsets)[held.user[row]]) + int(held.history[row])
        kept = shares[0, :length].astype(np.float64)
        return Carried(np.arange(end - length, end), kept, float(whole[0]), float(whole[0] - kept.sum()))

    def _integrated(self, batch: Any) -> tuple[Any, Any]:
        heads, arrays = self._network.of(batch)
        trunk = self._network.trunk
        items = trunk.tower(arrays["items"])
        events, user = tf.gather(items, arrays["item"]), trunk.user(arrays)

        def output(part: Any) -> Any:
            def read(_: Any, training: bool = False) -> Any:
                return trunk.history(part, user, arrays, training=training), items

            in_its_place: Any = read
            return heads.entire_space(heads.outputs(heads.represent(in_its_place, arrays), arrays)[0])[self._task]

        total = tf.zeros_like(events)
        for point in range(self._points):
            part = events * ((point + 0.5) / self._points)
            with tf.GradientTape() as tape:
                tape.watch(part)
                value = tf.reduce_sum(output(part))
            total += tape.gradient(value, part)
        shares = tf.reduce_sum(total / self._points * events, axis=-1)
        return shares, output(events) - output(tf.zeros_like(events))
