"""A table of requests, read a block at a time: Parquet, a folder of it, or CSV."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.digests import digest
from triad.errors import TriadError
from triad.sources.plain import pieces

NUMBERS = frozenset({"price_cents"})
"""Columns of a CSV that are no texts."""
MEND = "name a Parquet file, a folder of them, or a CSV file (UTF-8, a header, commas between cells)"


@dataclass(frozen=True)
class Group:
    """A row group of a Parquet file: what one worker reads.

    Args:
        name: of the file that was named, which may have been a CSV.
        first: the row of its file that it begins with, from 1.
    """

    file: Path
    name: str
    number: int
    first: int
    rows: int

    def blocks(self, rows: int) -> Iterator[tuple[str, pa.Table]]:
        """At most `rows` rows at once, and how to tell people where they stand."""
        first = self.first
        with pq.ParquetFile(self.file) as file:
            for batch in file.iter_batches(rows, row_groups=[self.number]):
                yield (
                    f"{self.name}, rows {first:,} to {first + batch.num_rows - 1:,}",
                    pa.Table.from_batches([batch]),
                )
                first += batch.num_rows


def groups(requests: Path, place: Path) -> list[Group]:
    """Those of all files at `requests`, in the order of names and rows. A CSV becomes a Parquet file in `place`.

    Raises:
        TriadError: they cannot be read, or hold no row.
    """
    if requests.is_dir():
        files = {file.relative_to(requests).as_posix(): file for file in sorted(requests.rglob("*.parquet"))}
    elif requests.suffix.lower() in (".parquet", ".pq"):
        files = {requests.name: requests}
    else:
        files = {requests.name: _of_csv(requests, place)}
    row_groups = [group for name, file in files.items() for group in _groups(file, name)]
    if not row_groups:
        raise TriadError("holds no row", where=str(requests), mend="give the rows that are asked about")
    return row_groups


def mark(requests: Path) -> str:
    """Differs with what lies at `requests`.

    Raises:
        TriadError: it cannot be read.
    """
    if requests.is_dir():
        return digest(requests)
    with _readable(requests), requests.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise TriadError(f"cannot be read ({type(error).__name__})", where=str(file), mend=MEND) from error


def _groups(file: Path, name: str) -> Iterator[Group]:
    """Those of `file`, which people know as `name`."""
    with _readable(file):
        known, first = pq.read_metadata(file), 1
    names = known.schema.to_arrow_schema().names
    if twice := [each for each in names if names.count(each) > 1]:
        raise TriadError("has this name twice", where=f"{name}, column {twice[0]}", mend="name each column once")
    for number in range(known.num_row_groups):
        if rows := known.row_group(number).num_rows:
            yield Group(file, name, number, first, rows)
        first += rows


def _of_csv(requests: Path, place: Path) -> Path:
    made, parts = place / f"{requests.name}.parquet", (_typed(part, requests) for part in pieces(requests, MEND))
    place.mkdir(parents=True, exist_ok=True)
    first = next(parts, pa.table({}))
    with pq.ParquetWriter(made, first.schema) as file:
        for part in chain([first], parts):
            file.write_table(part, row_group_size=max(part.num_rows, 1))
    return made


def _typed(part: pa.Table, requests: Path) -> pa.Table:
    for name in NUMBERS & set(part.column_names):
        said = part[name]
        try:
            numbers = pc.if_else(pc.equal(said, ""), None, said).cast(pa.int64())
        except pa.ArrowInvalid as error:
            mend = "write whole numbers, or leave the cell empty"
            raise TriadError("holds what is no number", where=f"{requests.name}, column {name}", mend=mend) from error
        part = part.set_column(part.column_names.index(name), name, numbers)
    return part
