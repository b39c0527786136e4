"""What an item is called: embeddings of its id, of each prefix of its category's path, and of its brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input, Table, warm_start_tables
from triad.examples.dataset import Dataset

TABLES = ("item", "category", "brand")


@keras.saving.register_keras_serializable(PACKAGE)
class Ids(Input):
    """The sum of the three. Ids keep their rows from night to night.

    Args:
        rows: rows of each of `TABLES`.
    """

    name: ClassVar[str] = "ids"
    reads: ClassVar[tuple[str, ...]] = ("vocabulary_row", "category", "brand")

    def __init__(self, rows: Mapping[str, int], dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim = dict(rows), dim
        self.tables = {name: Table(rows[name], dim, name=name) for name in TABLES}

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        return {"rows": {name: data.meta.vocabulary_rows[name] for name in TABLES}, "dim": sizes.dim}

    def build(self, _: Any = None) -> None:
        for table in self.tables.values():
            table.build()
        self.built = True

    def call(self, arrays: Any) -> Any:
        item, category, brand = self.tables.values()
        return item(arrays["vocabulary_row"]) + ops.sum(category(arrays["category"]), axis=1) + brand(arrays["brand"])

    def warm_start(self, theirs: Ids, origins: Mapping[str, Ints]) -> list[str]:
        return warm_start_tables(self.tables, theirs.tables, origins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


ENCODER = Ids
