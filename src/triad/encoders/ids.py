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
        dropout: share of items whose id is hidden in a step, so that all else that is known of an item learns to stand
            for one without history (DropoutNet, Volkovs et al. 2017). An id without a row of its own is then hidden.
        shared: the table's first rows that several ids share.
    """

    name: ClassVar[str] = "ids"
    reads: ClassVar[tuple[str, ...]] = ("vocabulary_row", "category", "brand")

    def __init__(self, rows: Mapping[str, int], dim: int, dropout: float = 0.0, shared: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim, self.dropout, self.shared = dict(rows), dim, dropout, shared
        self.chance = keras.random.SeedGenerator() if dropout else None
        self.tables = {name: Table(rows[name], dim, name=name) for name in TABLES}

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        rows = {name: data.meta.vocabulary_rows[name] for name in TABLES}
        return {"rows": rows, "dim": sizes.dim, "dropout": sizes.id_dropout, "shared": data.meta.shared_rows}

    def build(self, _: Any = None) -> None:
        for table in self.tables.values():
            table.build()
        if self.dropout:  # what is never read must not be where a new id's own row starts
            weight = self.tables["item"].weight
            weight.assign(weight * self._own(ops.arange(weight.shape[0]), weight.dtype))
        self.built = True

    def call(self, arrays: Any, training: bool = False) -> Any:
        item, category, brand = self.tables.values()
        row = arrays["vocabulary_row"]
        own = item(row)
        if self.dropout:
            seen = self._own(row, own.dtype)
            if training:
                drawn = keras.random.uniform(ops.shape(seen), seed=self.chance, dtype="float32")
                seen = seen * ops.cast(drawn >= self.dropout, own.dtype)
            own = own * seen
        return own + ops.sum(category(arrays["category"]), axis=1) + brand(arrays["brand"])

    def _own(self, row: Any, dtype: Any) -> Any:
        """(n, 1) whether each row is of one id alone."""
        return ops.cast(row > self.shared, dtype)[:, None]

    def warm_start(self, theirs: Ids, origins: Mapping[str, Ints]) -> list[str]:
        return warm_start_tables(self.tables, theirs.tables, origins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rows": self.rows,
            "dim": self.dim,
            "dropout": self.dropout,
            "shared": self.shared,
        }


ENCODER = Ids
