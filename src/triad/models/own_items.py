"""Items that the user took before: what a state adds to their logits.

Networks of next items repeat poorly, because a state must name each item it saw by one vector (Ren et al. 2019,
RepeatNet, arXiv:1812.02646). So an item's own past with the user is read directly, like a personal frequency (Hu et
al. 2020, TIFU-KNN, arXiv:2006.00556): for user state s and item i, taken before at moments t,

    logit(i) = s · vᵢ + Σₖ (aₖ(s) + bₖ(vᵢ)) · log(1 + cₖ),   cₖ = Σₜ 2^(−age(t) / hₖ),

where a and b are learned and the half-lives h span a day to a year, and one to ten visits. One aₖ > 0 with all else 0
orders by decayed own frequency alone. Ages count back from the state's last interaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.arrays import Floats, Ints
from triad.encoders.base import PACKAGE
from triad.examples.dataset import Dataset

DAY = 86_400_000_000
"""µs"""
PAUSE = DAY // 48
"""Without an interaction for half an hour, the next one begins a visit."""
DAYS = (1, 7, 30, 90, 365)
VISITS = (1, 3, 10)
COUNTS = len(DAYS) + len(VISITS) + 1  # and how often, whenever

AT_FIRST = 0.3
"""aₖ before anything is learned: near the order by own frequency."""


@dataclass(frozen=True)
class Own:
    """What rows took before, once a state; the pairs of state k are [start[k], start[k + 1])."""

    state: Ints  # (rows,)
    start: Ints  # (states + 1,)
    item: Ints  # (pairs,) catalogue row, ascending in a state
    count: Floats  # (pairs, COUNTS) log(1 + decayed count)

    def pairs(self) -> tuple[Ints, Ints]:
        """Every (row, pair), row by row."""
        size = np.diff(self.start)[self.state]
        row = np.repeat(np.arange(len(size)), size)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
        return row, self.start[self.state][row] + nth


class OwnItems:
    """Reads own items of `data` from each user's last `look_back` interactions."""

    def __init__(self, data: Dataset, look_back: int) -> None:
        streams = data.streams
        self._look_back, self._items = look_back, len(data.items.item_id)
        self._offsets, self._item = np.asarray(streams.offsets, np.int64), np.asarray(streams.item, np.int64)
        self._time = np.asarray(streams.time, np.int64)
        self._visit = np.cumsum(np.diff(self._time, prepend=self._time[:1]) >= PAUSE)  # a user's own never fall

    @cached_property
    def width(self) -> int:
        """No state has more own items."""
        user = np.repeat(np.arange(len(self._offsets) - 1), np.diff(self._offsets))
        distinct = np.unique(user * self._items + self._item) // self._items
        return min(self._look_back, int(np.bincount(distinct, minlength=1).max()))

    def of(self, users: Ints, history: Ints) -> Own:
        """Of each user's first `history` interactions."""
        users, history = np.asarray(users, np.int64), np.asarray(history, np.int64)
        ends, state = np.unique(np.stack([self._offsets[users] + history, users]), axis=1, return_inverse=True)
        stop = ends[0]
        length = np.minimum(stop - self._offsets[ends[1]], self._look_back)
        owner = np.repeat(np.arange(len(stop)), length)
        step = np.arange(len(owner)) + np.repeat(stop - np.cumsum(length), length)
        last = (stop - 1)[owner]
        pair, place = np.unique(owner * self._items + self._item[step], return_inverse=True)
        age, visits = (self._time[last] - self._time[step]) / DAY, self._visit[last] - self._visit[step]
        decays = [age / each for each in DAYS] + [visits / each for each in VISITS] + [np.zeros(len(step))]
        counts = [np.bincount(place, np.exp2(-each), minlength=len(pair)) for each in decays]
        start = np.searchsorted(pair, np.arange(len(stop) + 1) * self._items)
        return Own(state.reshape(-1), start, pair % self._items, np.log1p(np.stack(counts, axis=1)).astype(np.float32))

    def batch(self, users: Ints, history: Ints, columns: Ints, slots: int) -> dict[str, Any]:
        """What a batch carries, for rows that rank the catalogue rows `columns` (ascending, each once).

        Returns:
            own_column: (slots, width) place in `columns`; own_count: (slots, width, COUNTS), 0 where there is none.
        """
        own = self.of(users, history)
        row, pair = own.pairs()
        place = np.searchsorted(columns, own.item).clip(max=len(columns) - 1)
        ranked = (columns[place] == own.item)[pair]
        row, pair = row[ranked], pair[ranked]
        nth = np.arange(len(row)) - np.searchsorted(row, row)
        column = np.zeros((slots, self.width), np.int32)
        count = np.zeros((slots, self.width, COUNTS), np.float32)
        column[row, nth], count[row, nth] = place[pair], own.count[pair]
        return {"own_column": column, "own_count": count}


@keras.saving.register_keras_serializable(PACKAGE)
class OwnLogits(keras.layers.Layer):
    """The sum over k above, for states (slots, dim), vectors (columns, dim) and a batch of `OwnItems.batch`."""

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.dim = dim
        first = keras.initializers.Constant(AT_FIRST)
        self.by_state = keras.layers.Dense(COUNTS, kernel_initializer="zeros", bias_initializer=first)
        self.by_item = keras.layers.Dense(COUNTS, kernel_initializer="zeros", use_bias=False)

    def build(self, _: Any = None) -> None:
        for part in (self.by_state, self.by_item):
            part.build((None, self.dim))
        self.built = True

    def call(self, states: Any, vectors: Any, batch: Any) -> Any:
        """(slots, columns), 0 where the item is none of the user's own."""
        column, slots, columns = batch["own_column"], ops.shape(states)[0], ops.shape(vectors)[0]
        weights = self.by_state(states)[:, None] + ops.take(self.by_item(vectors), column, axis=0)
        values = ops.sum(ops.cast(weights, "float32") * batch["own_count"], axis=-1)
        cell = ops.arange(slots)[:, None] * columns + column
        added = ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(cell, (-1,)), num_segments=slots * columns)
        return ops.reshape(added, (slots, columns))

    def pairs(self, states: Floats, vectors: Floats, own: Own) -> tuple[Ints, Ints, Floats]:
        """(row, item, what it adds to the logit) of all rows' own items, for states (rows, dim)."""
        kernel, bias, by_item = self.get_weights()
        row, pair = own.pairs()
        item = own.item[pair]
        weights = (states @ kernel + bias)[row] + vectors[item] @ by_item  # of few of the catalogue's items
        values = np.einsum("pk,pk->p", weights, own.count[pair])
        return row, item, values

    def warm_start(self, theirs: OwnLogits | None) -> None:
        """Take the function of an earlier layer; where there was none, add nothing until something is learned."""
        self.set_weights(
            [np.zeros_like(each) for each in self.get_weights()] if theirs is None else theirs.get_weights()
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim}
