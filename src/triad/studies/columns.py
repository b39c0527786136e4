"""Reads the columns that a form names out of CSV or Parquet files, as text, numbers or times. Errors name the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import compute
from pydantic import Field

from triad.config.base import Section
from triad.errors import TriadError
from triad.features.dataset import Floats, Ints

TIMES = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
"""Of times that all have no zone, and that all have one."""

SEPARATOR = "\x1f"
"""ASCII's own, which no text holds."""

Epoch = Literal["seconds", "milliseconds", "microseconds"]
MICROSECONDS: Mapping[Epoch, int] = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}

Delimiter = Annotated[str, Field(min_length=1)]
"""What stands between two cells of a CSV file, one character or more."""


class File(Section):
    """A file, or several one below the other. Side by side, row i of each `File` belongs to row i of the others."""

    path: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description=".parquet, else CSV, compressed or not by its ending"
    )
    columns: tuple[str, ...] | None = Field(default=None, description="names, where a CSV file has no header")
    delimiter: Delimiter | None = Field(default=None, description="null: a tab where the name says .tsv, else a comma")
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

    def texts(self, name: str) -> NDArray[np.str_]:
        """(rows,) text; "" where empty."""
        return np.array(compute.fill_null(self.columns[name].cast(pa.string()), "").to_pylist(), str)

    def ids(self, name: str) -> NDArray[np.str_]:
        """(rows,) text.

        Raises:
            TriadError: a cell is empty.
        """
        found = self.texts(name)
        self._full(name, int((found == "").sum()))
        return found

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
        found = self._cast(name, "is no time such as 2026-01-31 23:59:59 or 2026-01-31T23:59:59Z", *TIMES)
        self._full(name, self.columns[name].null_count)
        return np.asarray(found.cast(pa.int64()).to_numpy())

    def order(self, name: str) -> Ints:
        """(rows,) rows from the first to the last by numbers or times; equal ones keep the file's order.

        Raises:
            TriadError: a cell is empty, or neither a number nor a time.
        """
        found = self._cast(name, "is neither a number nor a time", pa.int64(), pa.float64(), *TIMES)
        self._full(name, self.columns[name].null_count)
        return np.argsort(found.to_numpy(), kind="stable")

    def _full(self, name: str, empty: int) -> None:
        if empty:
            raise TriadError(
                f"{empty:,} cells are empty", where=f"{self.where}, column {name}", mend="leave such rows out"
            )

    def _cast(self, name: str, wrong: str, *kinds: pa.DataType, mend: str = "mend the cell") -> pa.ChunkedArray:
        """The column as the first of `kinds` that all of its cells are."""
        said: Exception | None = None
        for kind in kinds:
            try:
                return self.columns[name].cast(kind)
            except pa.ArrowException as error:
                said = said or error
        raise TriadError(f"a cell {wrong}: {said}", where=f"{self.where}, column {name}", mend=mend) from said


def read_columns(files: Sequence[File], names: Collection[str], folder: Path) -> Columns:
    """The columns `names` of `files` under `folder`.

    Raises:
        TriadError: a file is missing, unreadable or empty, the files differ in rows, or a column is in none of them.
    """
    parts = [[_read(file, folder / path) for path in file.paths] for file in files]
    where = ", ".join(str(folder / path) for file in files for path in file.paths)
    counts = [[part.num_rows for part in below] for below in parts]
    if any(count != counts[0] for count in counts):
        said = {", ".join(file.paths): count for file, count in zip(files, counts, strict=True)}
        raise TriadError(f"rows differ: {said}", where=where, mend="give files whose rows belong together")
    ends = [0, *accumulate(counts[0])]
    if not ends[-1]:
        raise TriadError("holds no row", where=where, mend="name a file with data")
    found: dict[str, pa.ChunkedArray] = {}
    for file, below in zip(files, parts, strict=True):
        found |= _stacked(file, below, names)
    if missing := [name for name in names if name not in found]:
        known = [name for below in parts for name in below[0].column_names]
        raise TriadError(
            f"has no column {missing[0]!r}, but {', '.join(known)}", where=where, mend="correct the form's columns"
        )
    spans = [slice(*span) for span in pairwise(ends)]
    rows_of = {path: span for file in files for path, span in zip(file.paths, spans, strict=True)}
    return Columns(found, ends[-1], rows_of, where)


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
        raise TriadError(f"hold different things: {error}", where=", ".join(file.paths), mend=mend) from error
    return {name: table[name] for name in held}


def _read(file: File, path: Path) -> pa.Table:
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend="correct `files`, or the folder it lies in")
    delimiter = file.delimiter or ("\t" if ".tsv" in path.suffixes else ",")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        with pa.input_stream(str(path)) as stream:  # once, for its head and its rows
            content = stream.read()
        if len(delimiter) > 1:  # Arrow knows delimiters of one character
            content, delimiter = content.replace(delimiter.encode(), SEPARATOR.encode()), SEPARATOR
        names = list(file.columns or ())
        if not names:
            header = arrow_csv.ParseOptions(delimiter=delimiter)
            names = arrow_csv.open_csv(pa.BufferReader(content), parse_options=header).schema.names
        return arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=0 if file.columns else 1),
            # in a file of one column an empty line is an empty cell
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=len(names) > 1),
            # all as text: an id 007 is no 7
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                null_values=["", *file.missing],
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, OSError) as error:
        mend = "see whether it was cut short, has another delimiter or is not UTF-8"
        raise TriadError(f"not readable: {error}", where=str(path), mend=mend) from error
