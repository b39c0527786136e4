"""What the tasks of a unit read of a batch: its inputs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from triad.encoders import ENCODERS
from triad.encoders.base import PACKAGE
from triad.encoders.history import read_states
from triad.models.trunk import Config, Trunk

POINTERS = ("history", "item", "user")
"""Inputs that name rows of streams, catalogue and users; the trunk reads those."""


@keras.saving.register_keras_serializable(PACKAGE)
class Reader(keras.layers.Layer):
    """The inputs of a unit's rows, normalised together, and beside them the columns that are wide.

    Those that are no `POINTERS` are encoders of arrays that a row brings itself; one that the item tower has too is the
    same. Behind an item stands its product with the input before it, whose sum is their dot product.

    Args:
        inputs: in order.
        own: encoder → what it is made from, for inputs that the trunk does not have.
    """

    def __init__(self, inputs: Sequence[str], own: Mapping[str, Config], dim: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._config = {"inputs": list(inputs), "own": {name: dict(one) for name, one in own.items()}, "dim": dim}
        self.dim = dim
        self.own: dict[str, Any] = {name: ENCODERS[name](**one, name=name) for name, one in own.items()}
        self.wide = [name for name in inputs if name in own and ENCODERS[name].is_wide]
        self.parts = [name for name in inputs if name not in self.wide]
        self.has_product = "item" in self.parts[1:]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="joined")

    @property
    def joined_width(self) -> int:
        """How many features are normalised together."""
        return (len(self.parts) + self.has_product) * self.dim

    @property
    def columns(self) -> list[str]:
        """Names of the wide columns."""
        return [column for name in self.wide for column in self.own[name].columns]

    @property
    def width(self) -> int:
        """How many features a body reads."""
        return self.joined_width + len(self.columns)

    @property
    def beside_width(self) -> int:
        """How many columns the last layers read beside a body."""
        return self.has_product + len(self.columns)

    def build(self, _: Any = None) -> None:
        for encoder in self.own.values():
            encoder.build()
        self.norm.build((None, self.joined_width))
        self.built = True

    def represent(self, trunk: Trunk, batch: Any, training: bool = False) -> Any:
        """(slots, parts, dim) of each slot's inputs but for the wide ones."""
        states, items = None, None
        if "history" in self.parts:
            states, items = trunk(batch, training=training)
        elif "item" in self.parts:
            items = trunk.tower(batch["items"], training=training)

        def part(name: str) -> Any:
            if name == "history":
                return read_states(states, batch)
            if name == "item":
                return ops.take(items, batch["candidate"], axis=0)
            if name == "user":
                return ops.take(trunk.user(batch), batch["segment"], axis=0)
            return (self.own.get(name) or trunk.tower.inputs[name])(batch)

        return ops.stack([part(name) for name in self.parts], axis=1)

    def join(self, vectors: Mapping[str, Any], wide: Sequence[Any]) -> Any:
        """(slots, width) what a body reads, of a vector (slots, dim) a part."""
        sides = []
        for place, name in enumerate(self.parts):
            sides.append(vectors[name])
            if name == "item" and place:
                sides.append(vectors[self.parts[place - 1]] * vectors[name])
        return ops.concatenate([self.norm(ops.concatenate(sides, axis=1)), *wide], axis=1)

    def read(self, shared: Any, batch: Any, variants: Sequence[Mapping[str, Any]] = ()) -> tuple[Any, list[Any]]:
        """What the body reads of `represent`'s result, and the columns that the last layers read beside it.

        Args:
            variants: vectors that stand in place of the shared ones, a mapping a task (STEM); what the body reads then
                has a row a task, and one for the shared ones behind them.
        """
        vectors = {name: shared[:, place] for place, name in enumerate(self.parts)}
        wide = [self.own[name](batch) for name in self.wide]
        beside = list(wide)
        if self.has_product:
            before = vectors[self.parts[self.parts.index("item") - 1]]
            beside.insert(0, ops.sum(before * vectors["item"], axis=1, keepdims=True) / self.dim**0.5)
        read = self.join(vectors, wide)
        if variants:
            read = ops.stack([*(self.join({**vectors, **one}, wide) for one in variants), read], axis=1)
        # joined once for all tasks: TensorFlow would else add their gradients in another order
        return read, [ops.concatenate(beside, axis=1)] if beside else []

    def get_config(self) -> Config:
        return {**super().get_config(), **self._config}
