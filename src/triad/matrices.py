"""Arrays that may lie in a file, written and read by blocks of rows so that none of its pages stays in memory."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from triad.arrays import Ints
from triad.durable import sync

BLOCK = 50_000
"""Rows of many columns that are read at once."""

NARROW = 500_000
"""Likewise of few columns."""


class Matrix:
    """(rows, …) of numbers, in memory, or at `path` as .npy, as it lies there or else new. Threads may write."""

    def __init__(self, path: Path | None, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> None:
        self.is_new = True
        """Whether nothing was written yet, as far as the disk knows."""
        self._path, self._values = path, np.empty(shape if path is None else (0, *shape[1:]), dtype)
        self._row = self._values.itemsize * math.prod(shape[1:])  # bytes
        if path is None:
            return
        with BytesIO() as header:
            descr = np.lib.format.dtype_to_descr(self._values.dtype)
            np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
            self._begin, head = header.tell(), header.getvalue()
        self.is_new = not path.is_file()
        if not self.is_new:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".new.{path.name}")
        with fresh.open("wb") as file:
            file.write(head)
            file.truncate(self._begin + self._row * shape[0])
        fresh.replace(path)

    def write(self, row: int, values: NDArray[Any]) -> None:
        """Put the rows `values` from `row` on."""
        if self._path is None:
            self._values[row : row + len(values)] = values
            return
        with self._path.open("r+b") as file:
            file.seek(self._begin + row * self._row)
            np.ascontiguousarray(values, self._values.dtype).tofile(file)

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        if self._path is not None:
            sync(self._path)

    def array(self) -> NDArray[Any]:
        """The whole array, mapped if it lies in a file."""
        return self._values if self._path is None else mapped(self._path)


def mapped(path: Path) -> NDArray[Any]:
    """The array in an .npy file, its pages read when they are asked for."""
    # an empty array cannot be mapped
    header = np.load(path, mmap_mode=None, allow_pickle=False) if path.stat().st_size < 4096 else None
    return header if header is not None else np.load(path, mmap_mode="r", allow_pickle=False)


def rows_of(matrix: NDArray[Any], rows: Ints) -> NDArray[Any]:
    """`matrix[rows]`, where `rows` ascend. Pages of a mapped file are let go block by block."""
    if not isinstance(matrix, np.memmap):
        return matrix[rows]
    taken = np.empty((len(rows), *matrix.shape[1:]), matrix.dtype)
    edges = np.searchsorted(rows, np.arange(0, len(matrix) + BLOCK, BLOCK))
    for low, high in pairwise(edges):
        if high > low:
            taken[low:high] = _anew(matrix)[rows[low:high]]
    return taken


def in_blocks(*arrays: NDArray[Any]) -> Iterator[tuple[slice, tuple[NDArray[Any], ...]]]:
    """Narrow arrays of as many rows, `NARROW` at a time, and which these are. Pages of a mapped file are let go."""
    for start in range(0, len(arrays[0]), NARROW):
        rows = slice(start, start + NARROW)
        yield rows, tuple(_anew(array)[rows] for array in arrays)


def _anew(array: NDArray[Any]) -> NDArray[Any]:
    """The array; one that is a mapped file by a mapping of its own, which goes with its pages when the name does."""
    # a view of one has its name, too
    is_file = isinstance(array, np.memmap) and isinstance(cast(Any, array.base), mmap.mmap)
    if not is_file:
        return array
    return np.asanyarray(np.load(str(cast(Any, array).filename), mmap_mode="r", allow_pickle=False))
