"""The columns of CSV or Parquet files that a form names, as text, numbers or times. Errors name the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, field_validator

from triad.arrays import Floats, Ints
from triad.config.base import Section
from triad.config.files import LimitsParams, check_encoding, check_quote
from triad.errors import TriadError
from triad.redaction import masked, shown
from triad.sources.base import ROW
from triad.sources.reading import Files, locate_file
from triad.sources.records import Dialect
from triad.texts import Texts

TIMES = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
"""Of times that all have no zone, and that all have one."""

Epoch = Literal["seconds", "milliseconds", "microseconds"]
MICROSECONDS: Mapping[Epoch, int] = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}

Delimiter = Annotated[str, Field(min_length=1)]
"""What stands between two cells of a CSV file, one character or more."""


class Written(Section):
    """How a CSV file is written."""

    columns: tuple[str, ...] | None = Field(default=None, description="names, where the file has no header")
    delimiter: Delimiter | None = Field(default=None, description="null: a tab where the name says .tsv, else a comma")
    quote: str | None = Field(default='"', description="what quoted cells stand between; null: nothing")
    multiline: bool = Field(default=False, description="quoted cells may hold lines that read like records")
    encoding: str = "utf-8"
    limits: LimitsParams = LimitsParams()

    _sign = field_validator("quote")(check_quote)
    _text = field_validator("encoding")(check_encoding)

    def file(self, path: Path) -> File:
        """The file at `path` as written so."""
        return File(path=path.name, **{name: getattr(self, name) for name in Written.model_fields})


class File(Written):
    """A file, or several one below the other. Side by side, row i of each `File` belongs to row i of the others."""

    path: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description=".parquet, else CSV, compressed or not by its ending"
    )
    missing: tuple[str, ...] = Field(default=(), description="cells of a CSV file that say as little as an empty one")

    @property
    def paths(self) -> tuple[str, ...]:
        """From the one above to the one below."""
        return (self.path,) if isinstance(self.path, str) else self.path


@dataclass(frozen=True)
class Columns:
    """The columns asked for, all of `rows` rows; which rows each file holds. `where` names the files, for errors."""

    columns: dict[str, pa.ChunkedArray]
    rows: int
    rows_of: dict[str, slice]
    where: str

    def texts(self, name: str) -> NDArray[np.object_]:
        """(rows,) text; "" where empty."""
        return np.asarray(Texts.of(self.columns[name]))

    def ids(self, name: str) -> NDArray[np.object_]:
        """(rows,) text.

        Raises:
            TriadError: a cell is empty.
        """
        texts = self.texts(name)
        self._full(name, int((texts == "").sum()))
        return texts

    def numbers(self, name: str, mend: str = "mend the cell, or leave it empty") -> Floats:
        """(rows,) float64, NaN where empty; true is 1 and false 0.

        Raises:
            TriadError: a cell is no finite number.
        """
        values = self._cast(name, "is no number", pa.float64(), pa.bool_(), mend=mend).cast(pa.float64()).to_numpy()
        if np.isinf(values).any():
            raise TriadError("holds infinite numbers", where=f"{self.where}, column {name}", mend="leave them empty")
        return np.asarray(values, np.float64)

    def times(self, name: str, epoch: Epoch | None = None) -> Ints:
        """(rows,) µs since 1970; what has no zone is UTC. `epoch`: the unit of times that are numbers since then.

        Raises:
            TriadError: a cell is empty, no number or no time as ISO 8601 writes it, or some have a zone and others not.
        """
        if epoch:
            ticks = self.numbers(name)
            self._full(name, int(np.isnan(ticks).sum()))
            return (ticks * MICROSECONDS[epoch]).astype(np.int64)
        times = self._cast(name, "is no time such as 2026-01-31 23:59:59 or 2026-01-31T23:59:59Z", *TIMES)
        self._full(name, self.columns[name].null_count)
        return np.asarray(times.cast(pa.int64()).to_numpy())

    def order(self, name: str) -> Ints:
        """(rows,) rows from the first to the last by numbers or times; equal ones keep the file's order.

        Raises:
            TriadError: a cell is empty, or neither a number nor a time.
        """
        values = self._cast(name, "is neither a number nor a time", pa.int64(), pa.float64(), *TIMES)
        self._full(name, self.columns[name].null_count)
        return np.argsort(values.to_numpy(), kind="stable")

    def _full(self, name: str, empty: int) -> None:
        if empty:
            raise TriadError(
                f"{empty:,} cells are empty", where=f"{self.where}, column {name}", mend="leave such rows out"
            )

    def _cast(self, name: str, wrong: str, *types: pa.DataType, mend: str = "mend the cell") -> pa.ChunkedArray:
        """The column as the first of `types` that all of its cells are."""
        for each in types:
            try:
                return self.columns[name].cast(each)
            except pa.ArrowException:
                continue
        row = _first_unlike(self.columns[name], types[0])
        cell = shown(self.columns[name][row].as_py())
        raise TriadError(f"a cell {wrong}: row {row + 1} {cell}", where=f"{self.where}, column {name}", mend=mend)


def _first_unlike(column: pa.ChunkedArray, wanted: pa.DataType) -> int:
    """The first row whose cell is not of the type that is `wanted`, which the column as a whole is not of."""
    first, end = 0, len(column)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            column.slice(first, middle - first).cast(wanted)
        except pa.ArrowException:
            end = middle
        else:
            first = middle
    return first


def read_columns(files: Sequence[File], names: Collection[str], folder: Path) -> Columns:
    """The columns `names` of `files` under `folder`.

    Raises:
        TriadError: a file is missing, unreadable or empty, the files differ in rows, or a column is in none of them.
    """
    sources = [[_locate(file, folder / path) for path in file.paths] for file in files]
    parts = [[_read(each, names) for each in below] for below in sources]
    where = ", ".join(str(folder / path) for file in files for path in file.paths)
    counts = [[part.num_rows for part in below] for below in parts]
    if any(count != counts[0] for count in counts):
        rows = {", ".join(file.paths): count for file, count in zip(files, counts, strict=True)}
        raise TriadError(f"rows differ: {rows}", where=where, mend="give files whose rows belong together")
    ends = [0, *accumulate(counts[0])]
    if not ends[-1]:
        raise TriadError("holds no row", where=where, mend="name a file with data")
    columns: dict[str, pa.ChunkedArray] = {}
    for file, below in zip(files, parts, strict=True):
        columns |= _stacked(file, below, names)
    if missing := [name for name in names if name not in columns]:
        known = ", ".join(name for below in sources for name in below[0].names())
        # where no column is known, the first line may be of data
        others = f"but {known}" if columns else "nor any other that is asked for: see whether it has a header"
        raise TriadError(f"has no column {missing[0]!r}, {others}", where=where, mend="correct the form's columns")
    spans = [slice(*span) for span in pairwise(ends)]
    rows_of = {path: span for file in files for path, span in zip(file.paths, spans, strict=True)}
    return Columns(columns, ends[-1], rows_of, where)


def _stacked(file: File, parts: Sequence[pa.Table], names: Collection[str]) -> dict[str, pa.ChunkedArray]:
    """Those of the columns `names` that `file` holds."""
    held = [name for name in parts[0].column_names if name in names]
    mend = "give files of the same columns"
    for path, part in zip(file.paths, parts, strict=True):
        if lacking := [name for name in held if name not in part.column_names]:
            raise TriadError(f"has no column {lacking[0]!r}, which {file.paths[0]} has", where=path, mend=mend)
    try:
        table = pa.concat_tables([part.select(held) for part in parts], promote_options="permissive")
    except pa.ArrowException as error:
        raise TriadError(
            f"hold different things: {masked(str(error))}", where=", ".join(file.paths), mend=mend
        ) from error
    return {name: table[name] for name in held}


def _locate(file: File, path: Path) -> Files:
    dialect = Dialect(
        where="data",
        encoding=file.encoding,
        delimiter=file.delimiter or ("\t" if ".tsv" in path.suffixes else ","),
        quote=file.quote,
        multiline=file.multiline,
        null_values=("", *file.missing),
        header=file.columns,
    )
    return locate_file(path, "parquet" if path.suffix == ".parquet" else "csv", dialect, file.limits)


def _read(files: Files, names: Collection[str]) -> pa.Table:
    """Those of the columns `names` that a file holds; its first where it holds none, for the number of rows."""
    known = files.names()
    pieces = list(files.pieces([name for name in known if name in names] or known[:1]))
    if not pieces:
        return pa.table({name: pa.array([], pa.string()) for name in known})
    return pa.concat_tables(pieces).drop_columns(ROW)
