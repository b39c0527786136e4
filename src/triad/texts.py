"""Ids, titles and other texts of a shop as one column. Its memory is the sum of the texts' lengths.

NumPy's texts are fixed-width: one title of 100,000 characters makes every title that wide. Here they lie end to end in
an Arrow array, in memory or mapped from a file (`<name>.arrow`, Arrow's IPC file format, one column `text`). Order is
that of code points, which UTF-8's bytes share. Nothing here knows what the texts mean.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
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
    file: Path | None = None
    """What holds just these, where they are known to be mapped from it."""

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

    def ends(self) -> Ints:
        """(n + 1,) bytes of Arrow's data before each text and after the last."""
        if not len(self):
            return np.zeros(1, np.int64)
        return np.frombuffer(self.values.buffers()[1], np.int64)[self.values.offset :][: len(self) + 1]

    def tobytes(self) -> bytes:
        """Their lengths, then they themselves: what a digest reads."""
        ends, (*_, data) = self.ends(), self.values.buffers()
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


def joined_in(path: Path, parts: Callable[[], Iterable[Texts]]) -> Texts:
    """`joined(parts())`, written to `path` as `save` would and mapped. One part at a time is in memory."""
    rows, length = 0, 0
    for part in parts():
        ends = part.ends()
        rows, length = rows + len(part), length + int(ends[-1] - ends[0])
    if not rows:
        return Texts.of([])
    _hollow(rows, length).save(path)
    with pa.memory_map(str(path)) as source:
        whole: pa.Buffer = source.read_buffer()
        source.seek(0)
        values = pa.ipc.open_file(source).read_all()["text"].chunk(0)  # joined, it would be a copy
    _, ends_at, data_at = (buffer and buffer.address - whole.address for buffer in values.buffers())
    row, byte = 0, 0
    with path.open("r+b") as file:
        for part in parts():
            if not len(part):
                continue
            ends, (*_, data) = part.ends(), part.values.buffers()
            file.seek(ends_at + 8 * (row + 1))
            file.write((ends[1:] - ends[0] + byte).tobytes())
            if ends[-1] > ends[0]:
                file.seek(data_at + byte)
                file.write(data.slice(ends[0], ends[-1] - ends[0]))
            row, byte = row + len(part), byte + int(ends[-1] - ends[0])
    return Texts(values, path)


def _hollow(rows: int, length: int) -> Texts:
    """As many texts, of `length` bytes together, all of them zero and none of them in memory: it is never written."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    ends = np.frombuffer(mmap.mmap(-1, 8 * (rows + 1), flags=flags), np.int64)
    ends[-1] = length
    data = pa.py_buffer(mmap.mmap(-1, max(length, 1), flags=flags)).slice(0, length)
    return Texts(pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), data))


def _numbers(values: pa.Array) -> Ints:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)
