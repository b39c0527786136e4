"""What stands between the joined features and the tasks' towers: experts with gates, or one shared layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from triad.models.layers import PACKAGE


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

    def call(self, features: Any) -> Any:
        known = ops.relu(ops.matmul(features, self.expert) + self.bias)
        known = ops.reshape(known, (-1, self.experts, self.dim))
        gates = ops.softmax(ops.reshape(ops.matmul(features, self.gate), (-1, self.tasks, self.experts)), axis=-1)
        # a sum of products, as compilers fuse it: a product of so many tiny matrices is slow on CPUs
        return ops.sum(gates[..., None] * known[:, None], axis=2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks, "experts": self.experts, "dim": self.dim}


@keras.saving.register_keras_serializable(PACKAGE)
class SharedBottom(keras.layers.Layer):
    """One hidden layer for all tasks (Caruana 1997), (n, features) → (n, tasks, dim), the same for each task."""

    def __init__(self, tasks: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks, self.dim = tasks, dim
        self.dense = keras.layers.Dense(dim, activation="relu", kernel_initializer="he_normal")

    def build(self, input_shape: tuple[int | None, int]) -> None:
        self.dense.build(input_shape)
        self.built = True

    def call(self, features: Any) -> Any:
        return ops.repeat(ops.expand_dims(self.dense(features), 1), self.tasks, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks, "dim": self.dim}
