"""What sells these days: what the shop's latest takings add to a state's logits.

A network's vectors know how popular items were while it learned; a season later others are. So the takings of the days
before the moment that is asked about are read directly, as the own items are: for user state s, item i and day d,

    logit(i) = s · vᵢ + Σₖ wₖ(s) · log(1 + nₖ(i, d)),

where nₖ counts all users' takings of i over the k-th span of days, up to the day before d. w is learned: a state may
follow the shop or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.arrays import Floats, Ints
from triad.encoders.base import PACKAGE
from triad.examples.dataset import Dataset
from triad.models.own_items import DAY


class Trend:
    """Counts of the takings in `data`, the kind that lists predict, over the last `spans` days."""

    def __init__(self, data: Dataset, spans: Sequence[int]) -> None:
        streams, self._spans = data.streams, tuple(spans)
        used = np.asarray(streams.kind) == data.meta.target_kind
        day, item = np.asarray(streams.time)[used] // DAY, np.asarray(streams.item)[used]
        self._first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
        counts = np.zeros((last - self._first + 2, len(data.items.item_id)), np.int32)
        np.add.at(counts, (day - self._first + 1, item), 1)
        self._until = counts.cumsum(axis=0, dtype=np.int32)  # row d: before day d

    def day(self, moment: Ints | None, count: int) -> Ints:
        """(count,) the day of each moment (count,) µs, from 0; past the log's end, and of None, the one after it."""
        last = len(self._until) - 1
        if moment is None:
            return np.full(count, last)
        return np.clip(np.asarray(moment, np.int64) // DAY - self._first, 0, last)

    def of(self, day: Ints) -> Floats:
        """(days, n_items, spans) log(1 + takings) before each `day` (days,)."""
        taken = [self._until[day] - self._until[np.maximum(day - span, 0)] for span in self._spans]
        return np.log1p(np.stack(taken, axis=-1)).astype(np.float32)

    def batch(self, day: Ints, columns: Ints) -> Floats:
        """(slots, columns, spans) what a batch carries, for rows of each `day` that rank the items `columns`."""
        days, place = np.unique(day, return_inverse=True)
        return self.of(days)[:, columns][place]


@keras.saving.register_keras_serializable(PACKAGE)
class TrendLogits(keras.layers.Layer):
    """The sum over k above, for states (slots, dim)."""

    def __init__(self, dim: int, spans: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.dim, self.spans = dim, spans
        self.by_state = keras.layers.Dense(spans, kernel_initializer="zeros")

    def build(self, _: Any = None) -> None:
        self.by_state.build((None, self.dim))
        self.built = True

    def call(self, states: Any, taken: Any) -> Any:
        """(slots, columns), of takings (slots, columns, spans)."""
        return ops.sum(ops.cast(self.by_state(states), "float32")[:, None] * taken, axis=-1)

    def weights_of(self, states: Floats) -> Floats:
        """(q, spans) w of states (q, dim)."""
        kernel, bias = self.get_weights()
        return np.asarray(states @ kernel + bias)

    def warm_start(self, theirs: TrendLogits | None) -> None:
        """Take the function of an earlier layer; where there was none, nothing is added at first."""
        if theirs is not None:
            self.set_weights(theirs.get_weights())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "spans": self.spans}
