"""What a user did before: the causal Transformer that reads a stream once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input, Table, as_input
from triad.examples.dataset import Dataset
from triad.schema import EVENT_KINDS

GAPS = 34
"""Rows of the time-gap embedding: 0 unknown, then one a doubling of the seconds since the interaction before."""


def gap_rows(time: Ints, offsets: Ints, places: Ints) -> Ints:
    """Rows of the time-gap embedding of the interactions at `places`; a stream's first one has row 0.

    Args:
        time: (n,) µs, of all interactions.
        offsets: (streams + 1,)
    """
    now, before = (np.asarray(time[each], np.int64) for each in (places, np.maximum(places - 1, 0)))
    seconds = np.maximum(now - before, 0) / 1e6
    rows = np.clip(1 + np.floor(np.log2(1 + seconds)), 1, GAPS - 1).astype(np.int32)
    offsets = np.asarray(offsets)
    return np.where(offsets[np.searchsorted(offsets, places, side="right") - 1] == places, 0, rows)


@keras.saving.register_keras_serializable(PACKAGE)
class Block(keras.layers.Layer):
    """Pre-norm Transformer block (Vaswani et al. 2017; Xiong et al. 2020), (batch, steps, dim) → the same.

    Causal, unless `heard` (batch, 1, steps) says which steps every step hears.
    """

    def __init__(self, dim: int, heads: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dim % heads:
            raise ValueError(f"dim {dim} must be a multiple of heads {heads}")
        self.dim, self.heads, self.dropout = dim, heads, dropout
        self.norms = [keras.layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
        self.attend = keras.layers.MultiHeadAttention(heads, dim // heads, dropout=dropout)
        self.widen = keras.layers.Dense(4 * dim, activation="gelu")
        self.narrow = keras.layers.Dense(dim)
        self.drop = keras.layers.Dropout(dropout)

    def build(self, _: Any = None) -> None:
        states = (None, None, self.dim)
        for norm in self.norms:
            norm.build(states)
        self.attend.build(states, states)
        self.widen.build(states)
        self.narrow.build((None, None, 4 * self.dim))
        self.drop.build(states)
        self.built = True

    def call(self, states: Any, heard: Any = None, training: bool = False) -> Any:
        normed = self.norms[0](states)
        attended = self.attend(normed, normed, attention_mask=heard, use_causal_mask=heard is None, training=training)
        states = states + self.drop(attended, training=training)
        thought = self.narrow(self.widen(self.norms[1](states)))
        return states + self.drop(thought, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "heads": self.heads, "dropout": self.dropout}


@keras.saving.register_keras_serializable(PACKAGE)
class History(Input):
    """States of streams (SASRec, Kang & McAuley 2018, with a start token that carries the user's attributes).

    Of `start` (segments, dim), and `items` (segments, steps, dim) beside the batch's arrays of the same interactions,
    it gives (segments, steps + 1, dim) states, of which the one at step t has seen t interactions.

    Where the batch holds `hidden` (segments, steps), the items so marked are left out and every step hears every other
    one, as BERT4Rec reads (Sun et al. 2019): the state at step t then tells what the t-th item may have been. Which way
    a history is read is no part of its weights (Dong et al. 2019, UniLM): one that learned so is read causally later.
    """

    name: ClassVar[str] = "history"
    reads: ClassVar[tuple[str, ...]] = ("kind", "time", "offsets")

    def __init__(self, dim: int, layers: int, heads: int, max_steps: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._config = {"dim": dim, "layers": layers, "heads": heads, "max_steps": max_steps, "dropout": dropout}
        self.dim, self.max_steps = dim, max_steps
        self.kind = Table(len(EVENT_KINDS), dim, name="kind")
        self.gap = Table(GAPS, dim, name="gap")
        self.place = Table(2 + max_steps, dim, name="place")
        self.drop = keras.layers.Dropout(dropout)
        self.blocks = [Block(dim, heads, dropout, name=f"block_{depth}") for depth in range(layers)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5)

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        return sizes.model_dump(exclude={"id_dropout"})

    @classmethod
    def arrays(cls, source: Any, rows: Ints | slice = slice(None)) -> dict[str, Any]:
        places = np.arange(len(source.time))[rows] if isinstance(rows, slice) else rows
        return {"kind": as_input(source.kind[rows]), "gap": gap_rows(source.time, source.offsets, places)}

    def build(self, _: Any = None) -> None:
        parts: list[Any] = [self.kind, self.gap, self.place, *self.blocks]
        for part in parts:
            part.build()
        self.drop.build((None, None, self.dim))
        self.norm.build((None, None, self.dim))
        self.built = True

    def call(self, items: Any, start: Any, batch: Any, training: bool = False) -> Any:
        heard = None
        if "hidden" in batch:
            items = ops.where(batch["hidden"][..., None], ops.zeros_like(items), items)
            real = batch["kind"] > 0
            heard = ops.concatenate([ops.ones_like(real[:, :1]), real], axis=1)[:, None]
        events = items + self.kind(batch["kind"]) + self.gap(batch["gap"])
        states = ops.concatenate([ops.expand_dims(start, 1), events], axis=1)
        states = self.drop(states + self.place(ops.arange(1, ops.shape(states)[1] + 1)), training=training)
        for block in self.blocks:
            states = block(states, heard, training=training)
        return self.norm(states)

    def warm_start(self, theirs: History, origins: Mapping[str, Ints]) -> list[str]:
        self.set_weights(theirs.get_weights())  # their rows mean the same every night
        return []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}


def read_states(states: Any, batch: Any) -> Any:
    """(slots, dim): the state each slot reads of `states` (segments, steps + 1, dim)."""
    width, dim = ops.shape(states)[1], ops.shape(states)[2]
    return ops.take(ops.reshape(states, (-1, dim)), batch["segment"] * width + batch["step"], axis=0)


ENCODER = History
