"""The body between the joined features and the tasks' towers: how much the tasks share. This file: one shared layer.

A body maps (n, features) to (n, tasks, dim). Bodies with more to say have files of their own: `bodies_extraction.py`
(CGC and PLE), `bodies_transfer.py` (AITM), `bodies_embeddings.py` (STEM). `reads` are a body's weights whose rows are
features. A body with gates says by `mix` which experts each task hears.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class Experts(keras.layers.Layer):
    """One hidden layer an expert, in groups that each read features of their own.

    (n, groups, features) → (n, groups, experts, dim) relu(x_g W_ge + b_ge). All of them are one product.
    """

    def __init__(self, groups: int, experts: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(groups, experts, dim) < 1:
            raise ValueError(f"needs at least one group, expert and unit, not {groups}, {experts}, {dim}")
        self.groups, self.experts, self.dim = groups, experts, dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = self.groups * self.experts * self.dim
        # two-dimensional, so that fan-in is the number of features
        scaled = keras.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")
        self.kernel = self.add_weight((input_shape[-1], width), initializer=scaled, name="kernel")
        self.bias = self.add_weight((width,), initializer="zeros", name="bias")
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return [self.kernel]

    def call(self, features: Any) -> Any:
        kernel = ops.reshape(self.kernel, (-1, self.groups, self.experts * self.dim))
        hidden = ops.relu(ops.einsum("ngf,fgd->ngd", features, kernel) + ops.reshape(self.bias, (self.groups, -1)))
        return ops.reshape(hidden, (-1, self.groups, self.experts, self.dim))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "experts": self.experts, "dim": self.dim}


@keras.saving.register_keras_serializable(PACKAGE)
class MMoE(keras.layers.Layer):
    """Multi-gate mixture of experts (Ma et al. 2018), (n, features) → (n, tasks, dim).

    y_t = Σ_e softmax(x G_t)_e · relu(x W_e + b_e); all experts are one product, all gates another.
    """

    def __init__(self, tasks: int, experts: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks, self.experts, self.dim = tasks, experts, dim

    def build(self, input_shape: tuple[int | None, int]) -> None:
        width = input_shape[-1]
        scaled = keras.initializers.VarianceScaling(
            2.0, "fan_in", "truncated_normal"
        )  # fan-in: `width`, of a 2-d weight
        self.expert = self.add_weight((width, self.experts * self.dim), initializer=scaled, name="expert")
        self.bias = self.add_weight((self.experts * self.dim,), initializer="zeros", name="bias")
        self.gate = self.add_weight((width, self.tasks * self.experts), initializer="glorot_uniform", name="gate")
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return [self.expert, self.gate]

    def call(self, features: Any) -> Any:
        return self.mix(features)[0]

    def mix(self, features: Any) -> tuple[Any, Any]:
        """(n, tasks, dim) each task's input, and (n, tasks, experts) the weight of each expert in it."""
        known = ops.relu(ops.matmul(features, self.expert) + self.bias)
        known = ops.reshape(known, (-1, self.experts, self.dim))
        gates = ops.softmax(ops.reshape(ops.matmul(features, self.gate), (-1, self.tasks, self.experts)), axis=-1)
        # a sum of products, as compilers fuse it: a product of so many tiny matrices is slow on CPUs
        return ops.sum(gates[..., None] * known[:, None], axis=2), gates

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks, "experts": self.experts, "dim": self.dim}


class _Hidden(keras.layers.Layer):
    """One hidden layer, (n, features) → (n, tasks, dim)."""

    width: int | None = None
    """How many tasks' units it has; None: one share a task."""

    def __init__(self, tasks: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks, self.dim = tasks, dim
        units = dim * (self.width or tasks)
        self.dense = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")

    def build(self, input_shape: tuple[int | None, int]) -> None:
        self.dense.build(input_shape)
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return [self.dense.kernel]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks, "dim": self.dim}


@keras.saving.register_keras_serializable(PACKAGE)
class SharedBottom(_Hidden):
    """One hidden layer for all tasks (Caruana 1997), (n, features) → (n, tasks, dim), the same for each task."""

    width = 1

    def call(self, features: Any) -> Any:
        return ops.repeat(ops.expand_dims(self.dense(features), 1), self.tasks, axis=1)


@keras.saving.register_keras_serializable(PACKAGE)
class SingleTask(_Hidden):
    """A hidden layer a task and nothing in common, (n, features) → (n, tasks, dim).

    With a task that has `given` it is the entire-space model ESMM (Ma et al. 2018): towers over shared embeddings,
    whose product is learned.
    """

    def call(self, features: Any) -> Any:
        return ops.reshape(self.dense(features), (-1, self.tasks, self.dim))
