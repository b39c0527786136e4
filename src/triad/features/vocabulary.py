"""Append-only vocabularies: an id keeps its row every night, new ids are appended, all others share hashed rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from triad.arrays import Ints
from triad.errors import TriadError


@dataclass(frozen=True)
class Vocabulary:
    """Row 0 is padding or unknown, rows 1..buckets are shared by hash, then each of `ids` has its own."""

    ids: tuple[str, ...]
    buckets: int

    @property
    def rows(self) -> int:
        """Rows of the embedding table."""
        return 1 + self.buckets + len(self.ids)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {id_: 1 + self.buckets + place for place, id_ in enumerate(self.ids)}

    def look_up(self, ids: Iterable[str]) -> Ints:
        """(n,) row of each id: its own, else a hashed one, else 0; "" is 0."""
        own = self._row
        return np.array([own.get(id_) or self._shared(id_) for id_ in map(str, ids)], np.int32)

    def _shared(self, id_: str) -> int:
        if not id_ or not self.buckets:
            return 0
        return 1 + int(hashlib.md5(id_.encode()).hexdigest()[:15], 16) % self.buckets

    def owns(self, rows: Ints) -> np.ndarray:
        """(n,) whether each row belongs to one id alone."""
        return np.asarray(rows) > self.buckets


def grow(base: Vocabulary, counts: Mapping[str, int], min_count: int) -> Vocabulary:
    """`base` with the ids that reach `min_count` appended, most frequent first, ties by id. No row of `base` moves."""
    known = set(base.ids)
    fresh = [(-n, id_) for id_, n in counts.items() if n >= min_count and id_ and id_ not in known]
    return Vocabulary(base.ids + tuple(id_ for _, id_ in sorted(fresh)), base.buckets)


def save(vocabularies: Mapping[str, Vocabulary], folder: Path) -> None:
    """One Parquet file a vocabulary, with the number of shared rows in its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, vocabulary in vocabularies.items():
        schema = pa.schema([("id", pa.string())], metadata={"buckets": str(vocabulary.buckets)})
        pq.write_table(
            pa.table({"id": pa.array(vocabulary.ids, pa.string())}, schema=schema), folder / f"{name}.parquet"
        )


def load(folder: Path) -> dict[str, Vocabulary]:
    """The vocabularies that `save` wrote into `folder`.

    Raises:
        TriadError: there is none.
    """
    vocabularies = {path.stem: _read(path) for path in sorted(folder.glob("*.parquet"))}
    if not vocabularies:
        raise TriadError("holds no vocabularies", where=str(folder), mend="run the stage that writes them")
    return vocabularies


def _read(path: Path) -> Vocabulary:
    table = pq.read_table(path)
    buckets = int((table.schema.metadata or {})[b"buckets"])
    return Vocabulary(tuple(table["id"].to_pylist()), buckets)
