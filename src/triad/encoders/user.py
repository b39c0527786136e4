"""A user's attributes: the sum of an embedding of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders.base import PACKAGE, Input, Table, warm_start_tables
from triad.examples.dataset import Dataset


@keras.saving.register_keras_serializable(PACKAGE)
class User(Input):
    """(n, attributes) rows of the attributes' own vocabularies → (n, dim).

    Args:
        rows: rows of each attribute's vocabulary, in the order of the columns.
    """

    name: ClassVar[str] = "user"
    reads: ClassVar[tuple[str, ...]] = ("attributes",)

    def __init__(self, rows: Mapping[str, int], dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim = dict(rows), dim
        # one more row than an attribute has: 0 is its "unknown", which deserves a weight
        self.tables = {name: Table(1 + count, dim, name=name) for name, count in rows.items()}

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        return {"rows": {name: data.meta.vocabulary_rows[name] for name in data.meta.attributes}, "dim": sizes.dim}

    def build(self, _: Any = None) -> None:
        for table in self.tables.values():
            table.build()
        self.built = True

    def call(self, arrays: Any) -> Any:
        attributes = arrays["attributes"]
        start = ops.zeros((ops.shape(attributes)[0], self.dim), self.compute_dtype)
        tables = self.tables.values()
        return sum((table(1 + attributes[:, place]) for place, table in enumerate(tables)), start)

    def warm_start(self, theirs: User, origins: Mapping[str, Ints]) -> list[str]:
        shifted = {name: np.r_[0, 1 + origins[name]] for name in self.tables if name in origins}
        return warm_start_tables(self.tables, theirs.tables, shifted)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


ENCODER = User
