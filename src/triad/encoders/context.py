"""What is known of the moment: columns of numbers, standardised, with 0 where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input
from triad.examples.dataset import Dataset


@keras.saving.register_keras_serializable(PACKAGE)
class Context(Input):
    """(n, columns) raw values → the same, standardised. It has no weights; what reads its columns does.

    Args:
        columns: their names.
        mean, std: of each over train rows.
    """

    name: ClassVar[str] = "context"
    reads: ClassVar[tuple[str, ...]] = ("context",)
    is_wide: ClassVar[bool] = True

    def __init__(self, columns: list[str], mean: list[float], std: list[float], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.columns, self.mean, self.std = list(columns), list(mean), list(std)

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        meta = data.meta
        return {"columns": list(meta.context), "mean": list(meta.context_mean), "std": list(meta.context_std)}

    @classmethod
    def rescaled(cls, config: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        place = {name: at for at, name in enumerate(theirs["columns"])}
        scales = {
            part: [
                theirs[part][place[name]] if name in place else own
                for name, own in zip(config["columns"], config[part], strict=True)
            ]
            for part in ("mean", "std")
        }
        return {**config, **scales}

    def build(self, _: Any = None) -> None:
        self.built = True

    def call(self, arrays: Any) -> Any:
        mean, std = (ops.convert_to_tensor(part, "float32") for part in (self.mean, self.std))
        known = (arrays["context"] - mean) / std
        return ops.cast(ops.where(ops.isnan(known), ops.zeros_like(known), known), self.compute_dtype)

    def warm_start(self, theirs: Context, origins: Mapping[str, Ints]) -> list[str]:
        return [f"context {name}" for name in self.columns if name not in theirs.columns]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "columns": self.columns, "mean": self.mean, "std": self.std}


ENCODER = Context
