"""Work on its way to the workers. Large arrays go as files that every process of a machine maps; all else as bytes.

A worker gets what a closure holds: the state, the catalogue, the sums of all users. It gets no session, and no ids of
users, which no block of examples or lists reads.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from triad.features.catalogue import Catalogue
from triad.features.dataset import Users
from triad.texts import Texts

LARGE = 1 << 16
"""Bytes from which on an array is a file."""


class Handing:
    """Packs work for workers that see `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, tuple[np.ndarray, str]] = {}  # with the array, so that no other takes its number

    def packed(self, work: Any) -> bytes:
        """`work` as `unpacked` reads it."""
        from pyspark.cloudpickle import Pickler

        file = self._file

        class Packer(Pickler):
            def persistent_id(self, value: Any) -> str | None:
                is_large = isinstance(value, np.ndarray) and value.dtype != object and value.nbytes >= LARGE
                return file(value) if is_large else None

            def reducer_override(self, value: Any) -> Any:
                if isinstance(value, duckdb.DuckDBPyConnection):
                    return type(None), ()
                if isinstance(value, Catalogue | Users):
                    parts = {each.name: getattr(value, each.name) for each in fields(value)}
                    return type(value), tuple((parts | {"user_id": Texts.of([])}).values())
                return super().reducer_override(value)

        with io.BytesIO() as written:
            Packer(written, protocol=5).dump(work)
            return written.getvalue()

    def _file(self, array: np.ndarray) -> str:
        if id(array) not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{len(self._files)}.npy"
            np.save(path, array, allow_pickle=False)
            self._files[id(array)] = array, str(path)
        return self._files[id(array)][1]


class _Unpacker(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> np.ndarray:
        return np.asarray(np.load(pid, mmap_mode="r", allow_pickle=False))


def unpacked(packed: bytes) -> Any:
    """What `packed` was given. It runs code: the bytes come from this stage alone, by Spark's own channel."""
    return _Unpacker(io.BytesIO(packed)).load()
