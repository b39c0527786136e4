"""Shared and task-specific embeddings (STEM): each task also has tables that no other task's loss changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from triad.encoders import ENCODERS
from triad.encoders.base import PACKAGE
from triad.encoders.user import User
from triad.models.bodies import Experts
from triad.models.trunk import ItemTower, Trunk


@keras.saving.register_keras_serializable(PACKAGE)
class STEM(keras.layers.Layer):
    """All-forward, task-specific-backward gates (Su et al. 2024), (n, tasks + 1, features) → (n, tasks, dim).

    Features of a task come from its own embeddings, the last ones from those that are shared. Each task's gate, read
    from x_t + x_shared, mixes the experts of all tasks and the shared ones, but its gradient reaches of the former only
    its own: a table learns from one task, and serves all.
    """

    def __init__(self, tasks: int, experts: int, own: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks = tasks
        self.own = Experts(tasks, own, dim, name="own")
        self.shared = Experts(1, experts, dim, name="shared")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.own.build(input_shape)
        self.shared.build(input_shape)
        self.count = self.tasks * self.own.experts + self.shared.experts
        self.gate = self.add_weight(
            (input_shape[-1], self.tasks * self.count), initializer="glorot_uniform", name="gate"
        )
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return [*self.own.reads, *self.shared.reads, self.gate]

    def call(self, features: Any) -> Any:
        return self.mix(features)[0]

    def mix(self, features: Any) -> tuple[Any, Any]:
        """Each task's input, and (n, tasks, tasks · own + experts) its gate: experts by task, then the shared ones."""
        own, common = self.own(features[:, :-1]), self.shared(features[:, -1:])[:, 0]
        mine = ops.reshape(ops.eye(self.tasks, dtype=own.dtype), (1, self.tasks, self.tasks, 1, 1))
        every = ops.expand_dims(own, 1)
        every = mine * every + (1 - mine) * ops.stop_gradient(every)
        every = ops.reshape(every, (-1, self.tasks, self.tasks * self.own.experts, self.own.dim))
        common = ops.repeat(ops.expand_dims(common, 1), self.tasks, axis=1)
        heard = ops.concatenate([every, common], axis=2)
        kernel = ops.reshape(self.gate, (-1, self.tasks, self.count))
        gates = ops.softmax(ops.einsum("ntf,ftk->ntk", features[:, :-1] + features[:, -1:], kernel), axis=-1)
        return ops.sum(gates[..., None] * heard, axis=2), gates

    def get_config(self) -> dict[str, Any]:
        sizes = {"experts": self.shared.experts, "own": self.own.experts, "dim": self.own.dim}
        return {**super().get_config(), "tasks": self.tasks, **sizes}


@keras.saving.register_keras_serializable(PACKAGE)
class Embeddings(keras.layers.Layer):
    """One task's own tables, in the sizes of the trunk's, for those of its unit's inputs that the trunk embeds.

    Args:
        trunk: what the trunk is made from.
        inputs: the unit's.
    """

    def __init__(self, trunk: dict[str, Any], inputs: Sequence[str], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.trunk, self.inputs = dict(trunk), list(inputs)
        self.parts: dict[str, Any] = {}
        for name in inputs:
            if name == "item":
                self.parts[name] = ItemTower(trunk["item"], name="tower")
            elif name == "user":
                self.parts[name] = User(**trunk["user"], name="user")
            elif name in trunk["item"]:
                self.parts[name] = ENCODERS[name](**trunk["item"][name], name=name)

    def build(self, _: Any = None) -> None:
        for part in self.parts.values():
            part.build()
        self.built = True

    def call(self, batch: Any) -> dict[str, Any]:
        """(slots, dim) a part."""
        arrays = {
            "item": lambda: {
                name: ops.take(value, batch["candidate"], axis=0) for name, value in batch["items"].items()
            },
            "user": lambda: {"attributes": ops.take(batch["attributes"], batch["segment"], axis=0)},
        }
        return {name: part(arrays[name]() if name in arrays else batch) for name, part in self.parts.items()}

    def start_as(self, trunk: Trunk) -> None:
        """Take the trunk's tables."""
        theirs = {"item": trunk.tower, "user": trunk.user, **trunk.tower.inputs}
        for name, part in self.parts.items():
            part.set_weights(theirs[name].get_weights())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "trunk": self.trunk, "inputs": self.inputs}
