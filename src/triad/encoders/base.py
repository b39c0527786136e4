"""What an input of the networks declares, and the embedding table that most of them are made of.

An encoder uses only `keras.ops`, so it runs on every backend. It makes its weights in `build`; the networks build all
layers at once, from sizes known beforehand, so that a saved network loads without an example of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.examples.dataset import Dataset

PACKAGE = "triad"


class Encoder(Protocol):
    """An input: a Keras layer class that also says what a batch carries of it and how an earlier night's continues.

    Called with a mapping of arrays (n, …) it gives (n, dim); one that `is_wide` gives raw columns, (n, columns), which
    the last layers read too.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]  # the arrays it needs: of items, users, streams, or the rows of a unit
    is_wide: ClassVar[bool]

    @classmethod
    def config(cls, data: Dataset, sizes: TrunkParams) -> dict[str, Any]:
        """What the layer for `data` is made from."""
        ...

    @classmethod
    def arrays(cls, source: Any, rows: Ints | slice = slice(None)) -> dict[str, Any]:
        """What a batch carries of `rows` of `source`, which holds what the encoder `reads`."""
        ...

    @classmethod
    def rescaled(cls, config: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        """`config` with the scales that the weights of an earlier layer, made from `theirs`, know."""
        ...

    def warm_start(self, theirs: Any, origins: Mapping[str, Ints]) -> list[str]:
        """Take the function of an earlier layer; returns what is new, by name.

        Args:
            origins: table → (rows,) the row of its table that each of tonight's starts from.
        """
        ...


class Input(keras.layers.Layer):
    """What most encoders have in common: a batch carries their arrays as they are, and they know no scale."""

    reads: ClassVar[tuple[str, ...]]
    is_wide: ClassVar[bool] = False

    @classmethod
    def arrays(cls, source: Any, rows: Ints | slice = slice(None)) -> dict[str, Any]:
        return {name: as_input(getattr(source, name)[rows]) for name in cls.reads}

    @classmethod
    def rescaled(cls, config: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        return config


def as_input(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as networks read them: int32 or float32."""
    return np.asarray(values, np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32)


@keras.saving.register_keras_serializable(PACKAGE)
class Table(keras.layers.Layer):
    """Embedding rows, (…) int → (…, dim). Row 0 is padding and always zero.

    `keras.layers.Embedding` copies the whole table each step on TensorFlow; taking from the variable does not.

    Attributes:
        reader: rows (…) → (…, dim) in place of reading `weight` here, where training keeps rows in a way of its own.
    """

    def __init__(self, rows: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if rows < 1:
            raise ValueError(f"an embedding table needs at least one row, not {rows}")
        self.rows, self.dim = rows, dim
        self.delta: tuple[Any, Any] | None = None
        self.reader: Callable[[Any], Any] | None = None

    def build(self, _: Any = None) -> None:
        self.weight = self.add_weight(
            (self.rows, self.dim), initializer=keras.initializers.RandomNormal(stddev=self.dim**-0.5), name="weight"
        )
        self.built = True

    def call(self, rows: Any) -> Any:
        if self.reader is None:
            taken = ops.take(ops.cast(self.weight, self.compute_dtype), rows, axis=0)
        else:
            taken = ops.cast(self.reader(rows), self.compute_dtype)
        if self.delta is not None:
            left, right = (ops.cast(factor, self.compute_dtype) for factor in self.delta)
            taken = taken + ops.matmul(ops.take(left, rows, axis=0), right)
        return taken * ops.cast(rows > 0, taken.dtype)[..., None]

    def enable_lora(self, rank: int) -> None:
        """Hold the rows fixed and learn W + A B instead (Hu et al. 2022), as Keras' own layers do; saving merges it.

        A is what begins as zero: a row that no example names stays as it is.
        """
        self._tracker.unlock()
        self.delta = (
            self.add_weight((self.rows, rank), initializer="zeros", name="lora_a"),
            self.add_weight((rank, self.dim), initializer=keras.initializers.RandomNormal(), name="lora_b"),
        )
        self._tracker.lock()
        self.weight.trainable = False

    def save_own_variables(self, store: Any) -> None:
        store["0"] = self.weight if self.delta is None else self.weight + ops.matmul(*self.delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


def warm_start_tables(
    tables: Mapping[str, Table], theirs: Mapping[str, Table], origins: Mapping[str, Ints]
) -> list[str]:
    """Rows follow their ids; returns what is new, by name. A new id starts from the row that read it before."""
    new = []
    for name, table in tables.items():
        if name not in theirs:
            new.append(f"table {name}")
            table.weight.assign(np.zeros(table.weight.shape))
            continue
        origin = origins[name]
        table.weight.assign(np.asarray(theirs[name].weight)[origin])
        fresh = len(origin) - len(np.unique(origin))  # ids that had no row of their own
        new += [f"{fresh} rows of {name}"] if fresh else []
    return new
