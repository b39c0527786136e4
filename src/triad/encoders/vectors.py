"""What an item says and shows: a frozen encoder's vector of its text, or of its picture, through one dense layer.

The encoder's weights θ stay as they are. What is learned beside them is the projection and the item's own row of `Ids`.
So an item without history stands where what it says and shows puts it. One that says or shows nothing has a vector of
zeros, and the layer adds nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input
from triad.examples.dataset import Dataset


class Projected(Input):
    """(n, width) vectors, zeros where there is none → (n, dim).

    Args:
        of: the fingerprint of the encoder that made the vectors.
        mean: (width,) of the vectors that there are: what all of them share tells no two apart.
    """

    name: ClassVar[str]

    def __init__(self, of: str, mean: Sequence[float], dim: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.of, self.mean, self.dim = of, list(mean), dim
        start = keras.initializers.RandomNormal(stddev=dim**-0.5)  # as far from 0 as a row of a table
        self.dense = keras.layers.Dense(dim, use_bias=False, kernel_initializer=start, name="projection")

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        vectors = np.asarray(getattr(data.items, cls.reads[0]), np.float64)
        there = vectors[vectors.any(axis=1)]
        mean = there.mean(axis=0) if len(there) else np.zeros(vectors.shape[1])
        return {"of": data.meta.item_vectors.get(cls.name, ""), "mean": mean.tolist(), "dim": sizes.dim}

    @classmethod
    def rescaled(cls, config: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        return {**config, "mean": list(theirs["mean"])} if theirs["of"] == config["of"] else config

    def build(self, _: Any = None) -> None:
        self.dense.build((None, len(self.mean)))
        self.built = True

    def call(self, arrays: Any) -> Any:
        vectors = arrays[self.reads[0]]
        there = ops.cast(ops.any(ops.not_equal(vectors, 0), axis=1, keepdims=True), "float32")
        apart = (vectors - ops.convert_to_tensor(self.mean, "float32")) * there
        length = ops.sqrt(ops.sum(ops.square(apart), axis=1, keepdims=True))
        return self.dense(ops.cast(apart / ops.maximum(length, 1e-6), self.compute_dtype))

    def warm_start(self, theirs: Projected, origins: Mapping[str, Ints]) -> list[str]:
        if theirs.of == self.of:
            self.set_weights(theirs.get_weights())
            return []
        self.set_weights([np.zeros(weight.shape) for weight in self.weights])
        return [f"input {self.name} of another encoder"]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "of": self.of, "mean": self.mean, "dim": self.dim}


@keras.saving.register_keras_serializable(PACKAGE)
class Text(Projected):
    """Of title and description."""

    name: ClassVar[str] = "text"
    reads: ClassVar[tuple[str, ...]] = ("text_vector",)


@keras.saving.register_keras_serializable(PACKAGE)
class Picture(Projected):
    """Of the picture."""

    name: ClassVar[str] = "image"
    reads: ClassVar[tuple[str, ...]] = ("image_vector",)


ENCODER = (Text, Picture)
