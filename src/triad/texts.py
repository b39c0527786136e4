"""Ids, titles and other texts of a shop as one column. Its memory is the sum of the texts' lengths.

NumPy's texts are fixed-width: one title of 100,000 characters makes every title that wide. Here they lie end to end in
an Arrow array, in memory or mapped from a file (`<name>.arrow`, Arrow's IPC file format, one column `text`). Order is
that of code points, which UTF-8's bytes share. Nothing here knows what the texts mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from triad.arrays import Ints


@dataclass(frozen=True, eq=False)
class Texts:
    """(n,) texts. `np.asarray` of them gives Python objects, never a fixed width."""

    values: pa.LargeStringArray  # without nulls

    @classmethod
    def of(cls, values: Texts | pa.Array | pa.ChunkedArray | NDArray[Any] | Iterable[Any]) -> Texts:
        """`values` as texts; a null is "".

        Raises:
            pyarrow.ArrowException: a value is no text, or one that UTF-8 cannot hold.
        """
        if isinstance(values, Texts):
            return values
        if isinstance(values, pa.ChunkedArray):
            values = values.cast(pa.large_string()).combine_chunks()
        if not isinstance(values, pa.Array):
            values = values.tolist() if isinstance(values, np.ndarray) else list(values)
            values = pa.array(values, pa.large_string())
        return cls(pc.fill_null(values.cast(pa.large_string()), ""))

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 50_000):
            yield from self.values.slice(start, 50_000).to_pylist()

    @overload
    def __getitem__(self, rows: int | np.integer) -> str: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[Any]) -> Texts: ...
    def __getitem__(self, rows: int | np.integer | slice | NDArray[Any]) -> str | Texts:
        """One text, or those of a slice, of (m,) rows, or of a mask."""
        if isinstance(rows, int | np.integer):
            return str(self.values[int(rows)].as_py())
        places = np.arange(len(self))[rows]
        return Texts(self.values.take(pa.array(places)))

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]  # a mask, as of an array
        held = other.values if isinstance(other, Texts) else pa.scalar(other, pa.large_string())
        return np.asarray(pc.equal(self.values, held).to_numpy(zero_copy_only=False))

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.object_]:
        return np.array(self.tolist(), dtype=object)

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:
        return self.values if type is None else self.values.cast(type)

    def tolist(self) -> list[str]:
        texts: list[str] = self.values.to_pylist()
        return texts

    def tobytes(self) -> bytes:
        """Their lengths, then they themselves: what a digest reads."""
        _, offsets, data = self.values.buffers()
        ends = (
            np.frombuffer(offsets, np.int64)[self.values.offset :][: len(self) + 1] if len(self) else np.zeros(1, int)
        )
        return np.diff(ends).tobytes() + (data.slice(ends[0], ends[-1] - ends[0]).to_pybytes() if ends[-1] else b"")

    def order(self) -> Ints:
        """(n,) rows in ascending order, equal ones as they stand."""
        return _numbers(pc.sort_indices(self.values))

    def codes(self) -> tuple[Texts, Ints]:
        """The distinct texts, ascending, and (n,) each one's place among them."""
        encoded = self.values.dictionary_encode()
        distinct = Texts(encoded.dictionary)
        order = distinct.order()
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return distinct[order], place[_numbers(encoded.indices)]

    def places(self, wanted: Texts) -> Ints:
        """(len(wanted),) the first row of each wanted text, -1 where there is none."""
        return _numbers(pc.fill_null(pc.index_in(wanted.values, value_set=self.values), -1))

    def save(self, path: Path) -> None:
        """Write them to `path`; the same texts give the same bytes."""
        table = pa.table({"text": self.values})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(len(self), 1))

    @classmethod
    def load(cls, path: Path) -> Texts:
        """What `save` wrote, mapped.

        Raises:
            ValueError: the file holds something else, or texts that reach outside of it.
        """
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        if table.schema != pa.schema([("text", pa.large_string())]):
            raise ValueError(f"{path} does not hold one column of texts: {table.schema.to_string()}")
        table.validate(full=True)
        return cls.of(table["text"])


def joined(parts: Iterable[Texts]) -> Texts:
    """All of the parts, one after the other."""
    return Texts.of(pa.chunked_array([part.values for part in parts], pa.large_string()))


def _numbers(values: pa.Array) -> Ints:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)
