"""A table's files, local or at any fsspec URL, as Arrow pieces with their row numbers.

CSV columns come as text, Parquet columns in their own types. Nothing is held whole: what reads a piece decides what
stays of it. Every way in which a file can be unreadable is told here.
"""

from __future__ import annotations

import csv
import difflib
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from fsspec.compression import compr
from fsspec.utils import infer_compression

from triad.config.files import TableParams
from triad.errors import TriadError
from triad.progress import Progress

ROW = "row over all files"
"""The column added to each piece: from 0, over all files in the order of their names."""

_FORMATS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_PACKED = (".gz", ".bz2", ".xz", ".zip")
_BROKEN = (OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What the unpackers raise on a damaged file, besides EOFError on one that is cut short."""
_BLOCK = 16 << 20  # bytes of CSV, unpacked, at a time
_ROWS = 1 << 18  # rows of Parquet at a time


@dataclass
class Files:
    """The files of one table. `first_rows` grows while they are read."""

    system: Any
    paths: list[str]
    format: str
    params: TableParams
    where: str
    first_rows: list[int] = field(default_factory=list)
    _stream: Any = None  # the one being read, for progress

    @property
    def name(self) -> str:
        """The file, or the first and how many more, as it may be printed."""
        more = f" and {len(self.paths) - 1:,} more" if len(self.paths) > 1 else ""
        return shown(self.paths[0]) + more

    def place(self, row: int) -> tuple[str, int]:
        """The file that holds a row, and the row's number in it, from 1 for the first below the header."""
        number = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return shown(self.paths[number]), row - self.first_rows[number] + 1

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The named columns, piece by piece, with `ROW` beside them.

        Raises:
            TriadError: a file cannot be read, or has not each column once.
        """
        self.first_rows.clear()
        read = self._parquet if self.format == "parquet" else self._csv
        row = 0
        size = sum(int(self.system.size(path) or 0) for path in self.paths)
        with Progress(f"read {self.where}", size >> 10, "KiB") as progress:
            for path in self.paths:
                self.first_rows.append(row)
                before = 0
                for batch in read(path, columns):
                    numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                    yield pa.Table.from_batches([batch]).append_column(ROW, numbers)
                    row += batch.num_rows
                    now = self._stream.tell() >> 10
                    progress.advance(now - before)
                    before = now

    def _csv(self, path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        encoding = self.params.encoding
        with self._explained(path):
            with self._open(path) as stream:
                text = io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")
                header = next(csv.reader(text, delimiter=self.params.delimiter), [])
            self._check_header(path, header, columns)
            with self._open(path) as stream:
                yield from arrow_csv.open_csv(
                    stream,
                    read_options=arrow_csv.ReadOptions(block_size=_BLOCK, encoding=encoding),
                    parse_options=arrow_csv.ParseOptions(delimiter=self.params.delimiter, newlines_in_values=True),
                    convert_options=arrow_csv.ConvertOptions(
                        include_columns=list(columns),
                        column_types={name: pa.string() for name in columns},
                        null_values=list(self.params.null_values),
                        strings_can_be_null=True,
                    ),
                )

    def _parquet(self, path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._explained(path), self.system.open(path, "rb") as stream:
            self._stream = stream
            file = pq.ParquetFile(stream)
            self._check_header(path, file.schema_arrow.names, columns)
            yield from file.iter_batches(batch_size=_ROWS, columns=list(columns))

    @contextmanager
    def _open(self, path: str) -> Iterator[IO[bytes]]:
        packing = infer_compression(path)
        with self.system.open(path, "rb") as raw:
            self._stream = raw
            yield compr[packing](raw, mode="rb") if packing else raw

    def _check_header(self, path: str, found: Sequence[str], columns: Sequence[str]) -> None:
        if not found:
            raise TriadError("the file is empty", where=shown(path), mend="write it anew, with a header and rows")
        for name in columns:
            times = list(found).count(name)
            if times == 1:
                continue
            if times > 1:
                raise TriadError(
                    f"{times} columns have this name",
                    where=f"{shown(path)}, column {name}",
                    mend="name each column once in the header",
                )
            near = difflib.get_close_matches(name, found, n=1)
            raise TriadError(
                f"column is missing; found {', '.join(found)}",
                where=f"{shown(path)}, column {name}",
                mend=f"did you mean {near[0]!r}? Correct {self.where}.columns"
                if near
                else f"correct {self.where}.columns",
            )

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turns what the libraries raise on a broken file into what its owner can act on."""
        try:
            yield
        except EOFError as error:
            raise TriadError(f"the file is cut short: {error}", where=shown(path), mend="copy it again") from error
        except (UnicodeError, pa.ArrowException, *_BROKEN) as error:
            bad = self._undecodable(path) if self.format == "csv" else ""
            if bad or isinstance(error, UnicodeError):
                raise TriadError(
                    f"is not {self.params.encoding} text: {bad or error}",
                    where=shown(path),
                    mend=f"name the file's encoding, e.g. {self.where}.encoding: cp1252",
                ) from error
            mend = "copy it again if it is cut short; else write it anew"
            if self.format == "csv":
                mend = f"mend or remove that line; if all are affected, set {self.where}.delimiter"
            raise TriadError(f"cannot be read as {self.format}: {error}", where=shown(path), mend=mend) from error

    def _undecodable(self, path: str) -> str:
        """How many lines are not in the encoding, and the first of them; empty where none is, or the file is broken."""
        if self.params.encoding.startswith(("utf-16", "utf-32")):
            return ""  # their lines do not end at a byte
        bad: list[str] = []
        count = 0
        try:
            with self._open(path) as stream:
                for number, line in enumerate(stream, 1):
                    try:
                        line.decode(self.params.encoding)
                    except UnicodeDecodeError as error:
                        count += 1
                        if len(bad) < 3:
                            bad.append(f"line {number} {line[max(error.start - 20, 0) : error.end + 10]!r}")
        except (EOFError, *_BROKEN):
            return ""
        return f"{count:,} lines, such as {', '.join(bad)}" if bad else ""


def locate(params: TableParams, where: str) -> Files:
    """The files that `params.path` names, in the order of their names; `where` is the params key of the table.

    Raises:
        TriadError: an environment variable is unset, no file matches, a URL's driver is missing, the format is unclear.
    """
    path = _expand(params.path or "", where)
    try:
        system, root = fsspec.core.url_to_fs(path)
        if re.search(r"[*?\[]", root):
            paths = sorted(p for p in system.glob(root) if system.isfile(p))
        elif system.isdir(root):
            paths = sorted(
                p for p in system.find(root) if _format(p) and not PurePosixPath(p).name.startswith(("_", "."))
            )
        else:
            paths = [root] if system.exists(root) else []
    except ImportError as error:
        raise TriadError(
            str(error), where=f"{where}.path {shown(path)}", mend="install that package beside triad"
        ) from error
    except (OSError, ValueError) as error:
        raise TriadError(
            str(error),
            where=f"{where}.path {shown(path)}",
            mend="correct the path or the access",
            transient=isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError),
        ) from error
    if not paths:
        raise TriadError(
            "no such file", where=f"{where}.path {shown(path)}", mend="correct the path, or bring the file"
        )
    forms = {params.format or _format(p) for p in paths}
    form = forms.pop()
    if forms or form is None:
        raise TriadError(
            "is it csv or parquet? The names do not tell",
            where=f"{where}.path {shown(path)}",
            mend=f"set {where}.format",
        )
    return Files(system, paths, form, params, where)


def shown(path: str) -> str:
    """`path` as it may be printed: without the secrets a URL can carry."""
    if "://" not in path:
        return path
    return re.sub(r"\?.*", "", re.sub(r"//[^/@]*@", "//", path))


def _format(path: str) -> str | None:
    name = PurePosixPath(path.lower())
    return _FORMATS.get(PurePosixPath(name.stem).suffix if name.suffix in _PACKED else name.suffix)


def _expand(path: str, where: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise TriadError(
                f"the environment variable {match[1]} is not set",
                where=f"{where}.path {path}",
                mend=f"export {match[1]}=… before the run, or write the path out",
            )
        return found

    return re.sub(r"\$\{(\w+)\}", value, path)
