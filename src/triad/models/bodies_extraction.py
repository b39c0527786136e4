"""Progressive layered extraction (PLE): shared experts beside each task's own experts, in levels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE
from triad.models.bodies import Experts


@keras.saving.register_keras_serializable(PACKAGE)
class Extraction(keras.layers.Layer):
    """One level, customised gate control (CGC), (n, tasks + 1, features) → (n, tasks + 1, dim); the last is shared.

    A task's gate mixes its own experts and the shared ones; the shared gate mixes all experts. The top level has no
    shared gate, since nothing would hear it, and gives (n, tasks, dim).
    """

    def __init__(self, tasks: int, experts: int, own: int, dim: int, top: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks, self.top = tasks, top
        self.own = Experts(tasks, own, dim, name="own")
        self.shared = Experts(1, experts, dim, name="shared")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width, own, experts = input_shape[-1], self.own.experts, self.shared.experts
        self.own.build(input_shape)
        self.shared.build(input_shape)
        self.gate = self.add_weight((width, self.tasks * (own + experts)), initializer="glorot_uniform", name="gate")
        if not self.top:
            self.shared_gate = self.add_weight(
                (width, self.tasks * own + experts), initializer="glorot_uniform", name="shared_gate"
            )
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return [*self.own.reads, *self.shared.reads, self.gate, *([] if self.top else [self.shared_gate])]

    def call(self, features: Any) -> Any:
        return self.mix(features)[0]

    def mix(self, features: Any) -> tuple[Any, Any]:
        """The level's output, and (n, tasks, own + experts) the tasks' gates, their own experts first."""
        own, common = self.own(features[:, :-1]), self.shared(features[:, -1:])
        count, dim = self.own.experts + self.shared.experts, self.own.dim
        heard = ops.concatenate([own, ops.repeat(common, self.tasks, axis=1)], axis=2)
        kernel = ops.reshape(self.gate, (-1, self.tasks, count))
        gates = ops.softmax(ops.einsum("ntf,ftk->ntk", features[:, :-1], kernel), axis=-1)
        mixed = ops.sum(gates[..., None] * heard, axis=2)
        if self.top:
            return mixed, gates
        every = ops.concatenate([ops.reshape(own, (-1, self.tasks * self.own.experts, dim)), common[:, 0]], axis=1)
        share = ops.softmax(ops.matmul(features[:, -1], self.shared_gate), axis=-1)
        return ops.concatenate([mixed, ops.sum(share[..., None] * every, axis=1, keepdims=True)], axis=1), gates

    def get_config(self) -> dict[str, Any]:
        sizes = {"experts": self.shared.experts, "own": self.own.experts, "dim": self.own.dim}
        return {**super().get_config(), "tasks": self.tasks, **sizes, "top": self.top}


@keras.saving.register_keras_serializable(PACKAGE)
class PLE(keras.layers.Layer):
    """Progressive layered extraction (Tang et al. 2020), (n, features) → (n, tasks, dim); with one level, CGC.

    Args:
        experts: shared experts a level.
        own: experts a level that belong to one task.
    """

    def __init__(self, tasks: int, experts: int, own: int, dim: int, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if levels < 1:
            raise ValueError(f"needs at least one level, not {levels}")
        self._sizes = {"tasks": tasks, "experts": experts, "own": own, "dim": dim}
        self.levels = [
            Extraction(tasks, experts, own, dim, top=level == levels - 1, name=f"level_{level}")
            for level in range(levels)
        ]

    def build(self, input_shape: tuple[int | None, int]) -> None:
        for level in self.levels:
            level.build(input_shape)
            input_shape = (None, self._sizes["dim"])
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return self.levels[0].reads

    def call(self, features: Any) -> Any:
        return self.mix(features)[0]

    def mix(self, features: Any) -> tuple[Any, Any]:
        """(n, tasks, dim) each task's input, and (n, tasks, own + experts) the top level's gates."""
        heard = ops.repeat(ops.expand_dims(features, 1), self._sizes["tasks"] + 1, axis=1)
        for level in self.levels:
            heard, gates = level.mix(heard)
        return heard, gates

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes, "levels": len(self.levels)}
