"""Embedding tables and the Transformer block. They use only `keras.ops`, so they run on every backend.

Layers make their weights in `build`; the networks build all of them at once, from sizes known beforehand, so that a
saved network loads without an example of its input.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

PACKAGE = "triad"


@keras.saving.register_keras_serializable(PACKAGE)
class Table(keras.layers.Layer):
    """Embedding rows, (…) int → (…, dim). Row 0 is padding and always zero.

    `keras.layers.Embedding` copies the whole table each step on TensorFlow; taking from the variable does not.
    """

    def __init__(self, rows: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if rows < 1:
            raise ValueError(f"an embedding table needs at least one row, not {rows}")
        self.rows, self.dim = rows, dim
        self.delta: tuple[Any, Any] | None = None

    def build(self, _: Any = None) -> None:
        self.weight = self.add_weight(
            (self.rows, self.dim), initializer=keras.initializers.RandomNormal(stddev=self.dim**-0.5), name="weight"
        )
        self.built = True

    def call(self, rows: Any) -> Any:
        taken = ops.take(ops.cast(self.weight, self.compute_dtype), rows, axis=0)
        if self.delta is not None:
            left, right = (ops.cast(factor, self.compute_dtype) for factor in self.delta)
            taken = taken + ops.matmul(ops.take(left, rows, axis=0), right)
        return taken * ops.cast(rows > 0, taken.dtype)[..., None]

    def enable_lora(self, rank: int) -> None:
        """Hold the rows fixed and learn W + A B instead (Hu et al. 2022), as Keras' own layers do; saving merges it.

        A is what begins as zero: a row that no example names stays as it is.
        """
        self._tracker.unlock()
        self.delta = (
            self.add_weight((self.rows, rank), initializer="zeros", name="lora_a"),
            self.add_weight((rank, self.dim), initializer=keras.initializers.RandomNormal(), name="lora_b"),
        )
        self._tracker.lock()
        self.weight.trainable = False

    def save_own_variables(self, store: Any) -> None:
        store["0"] = self.weight if self.delta is None else self.weight + ops.matmul(*self.delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


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
        found = self.attend(normed, normed, attention_mask=heard, use_causal_mask=heard is None, training=training)
        states = states + self.drop(found, training=training)
        thought = self.narrow(self.widen(self.norms[1](states)))
        return states + self.drop(thought, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "heads": self.heads, "dropout": self.dropout}
