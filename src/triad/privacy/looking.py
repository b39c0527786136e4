"""Searches files of known layout for a person's ids: Parquet, Arrow, NumPy arrays, and texts."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.privacy.pseudonyms import COLUMNS, key
from triad.redaction import tag

_WRITTEN = {".json", ".html", ".csv", ".tsv", ".txt", ".md", ".yaml", ".yml", ".log", ".lock", ".xml", ".js"}
log = logging.getLogger("triad.forget")
_CLEAR = 4  # characters of an id that can be told from other numbers and words of a page


@dataclass(frozen=True)
class Names:
    """`exact`: what a cell of a table may hold; `pattern`: the same in a text, whole words only."""

    exact: pa.Array
    pattern: re.Pattern[bytes]

    @classmethod
    def of(cls, ids: Iterable[str]) -> Names:
        """`ids`, and, where the environment has a key, their pseudonyms and the marks that messages show."""
        secret, bare = key(), list(ids)
        hashed = [secret.pseudonym(id_, kind) for id_ in bare for kind in COLUMNS.values()] if secret else []
        words = [word for name in (*bare, *hashed) for word in {name, html.escape(name)}]
        clear = [re.escape(word) for word in words if len(word) >= _CLEAR]
        clear += [f"#{mark}" for id_ in bare if (mark := tag(id_))]
        short = [f"[\"']{re.escape(word)}[\"']" for word in words if len(word) < _CLEAR]
        either = [rf"(?<![\w-])(?:{'|'.join(clear)})(?![\w-])"] * bool(clear) + short
        return cls(pa.array([*bare, *hashed], pa.string()), re.compile("|".join(either).encode()))

    def count(self, path: Path, suffix: str | None = None) -> int:
        """How often the file names one of them; 0 where its layout cannot name anybody, or it cannot be read."""
        try:
            return self._count(path, (suffix or path.suffix).lower())
        except (pa.ArrowException, OSError, ValueError, EOFError) as error:
            log.warning("%s cannot be read, so perhaps there too (%s)", path, type(error).__name__)
            return 0

    def _count(self, path: Path, suffix: str) -> int:
        if suffix == ".parquet":
            file = pq.ParquetFile(path)
            columns = [field.name for field in file.schema_arrow if _is_text(field.type)]
            return sum(map(self._batch, file.iter_batches(columns=columns))) if columns else 0
        if suffix == ".arrow":
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_file(source)
                return sum(self._batch(reader.get_batch(n)) for n in range(reader.num_record_batches))
        if suffix in (".npy", ".npz"):
            return self._arrays(path)
        return sum(1 for _ in self.pattern.finditer(path.read_bytes())) if suffix in _WRITTEN else 0

    def rows(self, table: pa.Table) -> int:
        """How many cells of a table name one of them."""
        return sum(map(self._batch, table.to_batches()))

    def below(self, folder: Path, without: Collection[Path] = ()) -> dict[Path, int]:
        """Files below `folder`, but not below those `without`, that name one of them, and how often.

        Links to folders are not followed.
        """
        files = (path for path in sorted(folder.rglob("*")) if not any(path.is_relative_to(other) for other in without))
        return {path: count for path in files if path.is_file() and (count := self.count(path))}

    def _batch(self, batch: pa.RecordBatch) -> int:
        texts = [column for column in batch.columns if _is_text(column.type)]
        return sum(pc.sum(pc.is_in(column.cast(pa.string()), self.exact)).as_py() or 0 for column in texts)

    def _arrays(self, path: Path) -> int:
        with path.open("rb") as handle:
            loaded = np.load(handle, allow_pickle=False)
            arrays = [loaded[name] for name in loaded.files] if hasattr(loaded, "files") else [loaded]
        texts = [array.astype(str) for array in arrays if np.issubdtype(array.dtype, np.character)]
        return sum(int(np.isin(array, self.exact.to_pylist()).sum()) for array in texts)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
