"""Adaptive information transfer (AITM): each funnel step passes its representation to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE
from triad.models.bodies import SingleTask


@keras.saving.register_keras_serializable(PACKAGE)
class Transfer(keras.layers.Layer):
    """One transfer (Xi et al. 2021), two (n, dim) → (n, dim).

    Attention of the step's own view q and what comes from the step before, p = relu(W z + b), each to itself:
    Σ_u softmax_u(⟨u K, u Q⟩ / √dim) · u V, u ∈ {p, q}.
    """

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.inform = keras.layers.Dense(dim, activation="relu", name="inform")
        self.attend = keras.layers.Dense(3 * dim, use_bias=False, name="attend")

    def build(self, _: Any = None) -> None:
        self.inform.build((None, self.dim))
        self.attend.build((None, None, self.dim))
        self.built = True

    def call(self, before: Any, own: Any) -> Any:
        both = ops.stack([self.inform(before), own], axis=1)
        query, key, value = ops.split(self.attend(both), 3, axis=-1)
        heed = ops.softmax(ops.sum(query * key, axis=-1, keepdims=True) / self.dim**0.5, axis=1)
        return ops.sum(heed * value, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim}


@keras.saving.register_keras_serializable(PACKAGE)
class AITM(keras.layers.Layer):
    """Adaptive information transfer (Xi et al. 2021), (n, features) → (n, tasks, dim).

    The paper's calibrator, a penalty where a later step seems likelier than an earlier one, has nothing to do here: a
    task with `given` is a product with the earlier step's probability.

    Args:
        after: each task's place of the task whose event it needs, None where it needs none.
    """

    def __init__(self, after: Sequence[int | None], dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if all(place is None for place in after):
            raise ValueError("needs a task whose event another one needs")
        self.after, self.dim = list(after), dim
        self.own = SingleTask(len(after), dim, name="own")
        self.transfers = {
            place: Transfer(dim, name=f"transfer_{place}") for place, first in enumerate(after) if first is not None
        }

    def build(self, input_shape: tuple[int | None, int]) -> None:
        self.own.build(input_shape)
        for transfer in self.transfers.values():
            transfer.build()
        self.built = True

    @property
    def reads(self) -> list[Any]:
        """Weights whose rows are features."""
        return self.own.reads

    def call(self, features: Any) -> Any:
        own = self.own(features)
        views: dict[int, Any] = {}

        def view(place: int) -> Any:
            if place not in views:
                first = self.after[place]
                mine = own[:, place]
                views[place] = mine if first is None else self.transfers[place](view(first), mine)
            return views[place]

        return ops.stack([view(place) for place in range(len(self.after))], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "after": self.after, "dim": self.dim}
