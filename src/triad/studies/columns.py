"""Reads the columns that a form names out of CSV or Parquet files, as text, numbers or times. Errors name the file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

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


class File(Section):
    """One file of a table. Several stand side by side: row i of each belongs to row i of the others."""

    path: str = Field(description=".parquet, else CSV, compressed or not by its ending")
    columns: tuple[str, ...] | None = Field(default=None, description="names, where a CSV file has no header")
    delimiter: str | None = Field(default=None, description="null: a tab where the name says .tsv, else a comma")

    @property
    def separator(self) -> str:
        """What stands between two cells of a CSV file."""
        return self.delimiter or ("\t" if ".tsv" in Path(self.path).suffixes else ",")


@dataclass(frozen=True)
class Columns:
    """The columns asked for, all of `rows` rows. `where` names the files, for errors."""

    columns: dict[str, pa.ChunkedArray]
    rows: int
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

    def times(self, name: str) -> Ints:
        """(rows,) µs since the epoch; what has no zone is UTC.

        Raises:
            TriadError: a cell is empty, no time as ISO 8601 writes it, or some have a zone and others none.
        """
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
    tables = {file.path: _read(file, folder / file.path) for file in files}
    where = ", ".join(str(folder / path) for path in tables)
    counts = {path: table.num_rows for path, table in tables.items()}
    if len(set(counts.values())) > 1:
        raise TriadError(f"rows differ: {counts}", where=where, mend="give files whose rows belong together")
    rows = next(iter(counts.values()))
    if not rows:
        raise TriadError("holds no row", where=where, mend="name a file with data")
    found: dict[str, pa.ChunkedArray] = {}
    for table in tables.values():
        found |= {name: table[name] for name in table.column_names if name in names}
    if missing := [name for name in names if name not in found]:
        known = [name for table in tables.values() for name in table.column_names]
        raise TriadError(
            f"has no column {missing[0]!r}, but {', '.join(known)}", where=where, mend="correct the form's columns"
        )
    return Columns(found, rows, where)


def _read(file: File, path: Path) -> pa.Table:
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend="correct `files`, or the folder it lies in")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        with pa.input_stream(str(path)) as stream:  # once, for its head and its rows
            content = pa.py_buffer(stream.read())
        names = list(file.columns or ())
        if not names:
            header = arrow_csv.ParseOptions(delimiter=file.separator)
            names = arrow_csv.open_csv(pa.BufferReader(content), parse_options=header).schema.names
        return arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=0 if file.columns else 1),
            # in a file of one column an empty line is an empty cell
            parse_options=arrow_csv.ParseOptions(delimiter=file.separator, ignore_empty_lines=len(names) > 1),
            # all as text: an id 007 is no 7
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, null_values=[""], strings_can_be_null=True
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise TriadError(f"not readable: {error}", where=str(path), mend="see whether it was cut short") from error
