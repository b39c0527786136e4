"""AdamW for large embedding tables, whose rows are brought up to date when they are read.

AdamW moves every row at every step, also those that no example names. What it does to such a row is known beforehand:
its moments fade by β₁ and β₂, its weight decays, and what is left of its momentum carries it on by a geometric series.
So a row is left alone until it is read, and then makes up for the steps it missed. A step costs what it reads, however
large the table is, and the weights are those of AdamW, but that ε is left out of what momentum carries a row on, and
that decay and averaging take all of that for done when the row was last seen.

The gradient of a row that is read several times is summed after sorting: the same order every time, on any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.signal import lfilter

from triad.arrays import Floats
from triad.encoders.base import Table

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Those of `keras.optimizers.AdamW`."""
FADE = BETA_1 / BETA_2**0.5
"""From step to step, of how far momentum alone carries a row."""

BLOCK = 65_536
"""Rows brought up to date at once, where all are."""


class Steps:
    """What AdamW does at each step of a run, whatever the gradient.

    Args:
        rates: (steps,) the rate of each.
        decay: weight decay.
    """

    def __init__(self, rates: Floats, decay: float) -> None:
        rates, step = np.asarray(rates, np.float64), np.arange(1, len(rates) + 1)
        unbiased = rates * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        later = lfilter([1], [1, -FADE], unbiased[::-1])[::-1]  # Σ FADE^j · unbiased of the j-th step from here on
        self._last = len(rates)
        self._unbiased = tf.constant(np.r_[0, unbiased], tf.float32)
        self._carries = tf.constant(np.r_[FADE * later, 0], tf.float32)
        self._decays = tf.constant(np.r_[0, np.cumsum(np.log1p(-rates * decay))], tf.float32)

    def unbiased(self, step: Any) -> Any:
        """The rate of `step`, which makes up for moments that began as zero."""
        return self._of(self._unbiased, step)

    def carried(self, seen: Any, now: Any) -> Any:
        """Between the two steps, how far momentum carries a row, in units of first moment / √ second moment."""
        return self._of(self._carries, seen) - FADE ** tf.cast(now - seen, tf.float32) * self._of(self._carries, now)

    def decayed(self, seen: Any, now: Any) -> Any:
        """What is left of a weight."""
        return tf.exp(self._of(self._decays, now) - self._of(self._decays, seen))

    def _of(self, values: Any, step: Any) -> Any:
        return tf.gather(values, tf.minimum(step, self._last))


class TouchedTable:
    """One table in training.

    Args:
        table: read through this object from now on.
        steps: of the run.
        momentum: of the average of late weights.
    """

    def __init__(self, table: Table, steps: Steps, momentum: float) -> None:
        self._table, self._steps, self._momentum = table, steps, momentum
        self._done: Any = None  # steps before this one, while one is traced
        zeros = tf.zeros((table.rows, table.dim))
        # first and second moment and average side by side: a row is one read
        self._state = keras.Variable(tf.concat([zeros, zeros, table.weight.value], axis=1), trainable=False)
        self._seen = keras.Variable(tf.zeros((table.rows,), tf.int32), dtype="int32", trainable=False)
        table.reader = self.read

    @property
    def weight(self) -> Any:
        """The table's weight."""
        return self._table.weight

    @property
    def variables(self) -> list[Any]:
        """All that is remembered beside the weight."""
        return [self._state, self._seen]

    @contextmanager
    def learning(self, done: Any) -> Iterator[None]:
        """Inside, rows are brought up to date before they are read, to the state after `done` steps."""
        self._done = done
        yield
        self._done = None

    def read(self, rows: Any) -> Any:
        """(…, dim) of `rows` (…)."""
        if self._done is not None:
            self.catch_up_rows(tf.reshape(rows, (-1,)), self._done)
        return tf.gather(self.weight.value, rows)

    def apply(self, rows: Any, gradient: Any, done: Any) -> None:
        """The step after `done`, of `rows` that it read, each with its gradient, as `summed` gives them."""
        step = done + 1
        first, second, average = tf.split(tf.gather(self._state.value, rows), 3, axis=1)
        weight = tf.gather(self.weight.value, rows) * self._steps.decayed(done, step)
        first += (1 - BETA_1) * (gradient - first)
        second += (1 - BETA_2) * (tf.square(gradient) - second)
        weight -= self._steps.unbiased(step) * first / (tf.sqrt(second) + EPSILON)
        average = self._momentum * average + (1 - self._momentum) * weight
        self._write(rows, weight, [first, second, average], step)

    def catch_up(self, done: Any) -> None:
        """Bring all rows up to date."""
        for start in range(0, self._table.rows, BLOCK):
            self.catch_up_rows(tf.range(start, min(start + BLOCK, self._table.rows)), done)

    def assign_average(self) -> None:
        """Put the averages in place of the weights. All rows must be up to date."""
        self.weight.assign(self._state.value[:, 2 * self._table.dim :])

    def catch_up_rows(self, rows: Any, done: Any) -> None:
        """Bring `rows` (n,) up to date."""
        seen = tf.gather(self._seen.value, rows)
        missed = tf.cast(done - seen, tf.float32)[:, None]
        first, second, average = tf.split(tf.gather(self._state.value, rows), 3, axis=1)
        weight = tf.gather(self.weight.value, rows) * self._steps.decayed(seen, done)[:, None]
        weight -= self._steps.carried(seen, done)[:, None] * first / (tf.sqrt(second) + EPSILON)
        kept = self._momentum**missed
        self._write(
            rows,
            weight,
            [first * BETA_1**missed, second * BETA_2**missed, kept * average + (1 - kept) * weight],
            done,
        )

    def _write(self, rows: Any, weight: Any, state: list[Any], step: Any) -> None:
        """Rows named more than once must come with the same values each time."""
        seen = tf.fill(tf.shape(rows), step)
        values = (self.weight, weight), (self._state, tf.concat(state, axis=1)), (self._seen, seen)
        for variable, value in values:
            variable.value.scatter_update(tf.IndexedSlices(value, rows))


def summed(gradient: tf.IndexedSlices) -> tuple[Any, Any]:
    """Each row of a gradient once, (n,), and the sum of its values, (n, dim), n as before.

    What is left over names row 0, which is padding, with a gradient of zero.
    """
    order = tf.argsort(gradient.indices, stable=True)
    rows, values = tf.gather(gradient.indices, order), tf.gather(gradient.values, order)
    is_first = tf.concat([[True], rows[1:] != rows[:-1]], axis=0)
    place, count = tf.cumsum(tf.cast(is_first, tf.int32)) - 1, tf.shape(rows)[0]
    once = tf.where(is_first, rows, tf.zeros_like(rows))
    return tf.math.unsorted_segment_sum(once, place, count), tf.math.unsorted_segment_sum(values, place, count)
