"""An item's price: its logarithm, standardised, through one dense layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input
from triad.examples.dataset import Dataset


@keras.saving.register_keras_serializable(PACKAGE)
class Price(Input):
    """(n,) log1p(cents) → (n, dim).

    Args:
        mean, std: of log1p(cents) over the catalogue the layer was made on.
    """

    name: ClassVar[str] = "price"
    reads: ClassVar[tuple[str, ...]] = ("log_price",)

    def __init__(self, mean: float, std: float, dim: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.mean, self.std, self.dim = mean, std, dim
        self.dense = keras.layers.Dense(dim, name="price")

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        price = np.asarray(data.items.log_price, np.float64)
        spread = float(price.std()) if len(price) else 0.0
        mean = float(price.mean()) if len(price) else 0.0
        return {"mean": mean, "std": spread if spread > 0 else 1.0, "dim": sizes.dim}

    @classmethod
    def rescaled(cls, config: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        return {**config, "mean": theirs["mean"], "std": theirs["std"]}

    def build(self, _: Any = None) -> None:
        self.dense.build((None, 1))
        self.built = True

    def call(self, arrays: Any) -> Any:
        price = ops.cast((arrays["log_price"] - self.mean) / self.std, self.compute_dtype)
        return self.dense(price[:, None])

    def warm_start(self, theirs: Price, origins: Mapping[str, Ints]) -> list[str]:
        self.set_weights(theirs.get_weights())
        return []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "std": self.std, "dim": self.dim}


ENCODER = Price
