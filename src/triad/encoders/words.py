"""A text's words: the mean of their embeddings. Titles and all other texts go through the same table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input, Table, warm_start_tables
from triad.examples.dataset import Dataset

TABLE = "token"


@keras.saving.register_keras_serializable(PACKAGE)
class Words(Input):
    """(n, words) rows of words, 0-padded → (n, dim); a text without words is zero.

    Args:
        rows: rows of the table of words.
    """

    name: ClassVar[str] = "words"
    reads: ClassVar[tuple[str, ...]] = ("tokens",)

    def __init__(self, rows: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim = rows, dim
        self.table = Table(rows, dim, name=TABLE)

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        return {"rows": data.meta.vocabulary_rows[TABLE], "dim": sizes.dim}

    def build(self, _: Any = None) -> None:
        self.table.build()
        self.built = True

    def call(self, arrays: Any) -> Any:
        tokens = arrays["tokens"]
        total = ops.sum(self.table(tokens), axis=1)
        count = ops.sum(ops.cast(tokens > 0, total.dtype), axis=1, keepdims=True)
        return total / ops.maximum(count, 1)

    def warm_start(self, theirs: Words, origins: Mapping[str, Ints]) -> list[str]:
        return warm_start_tables({TABLE: self.table}, {TABLE: theirs.table}, origins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


ENCODER = Words
