"""A table of requests, read a block at a time: Parquet, a folder of it, or CSV."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from triad.digests import digest
from triad.errors import TriadError

NUMBERS = {"price_cents": pa.int64()}
"""Columns of a CSV that are no texts."""
_QUOTED = csv.ParseOptions(newlines_in_values=True)
_BYTES = csv.ReadOptions(block_size=16 << 20)  # of a row group that a CSV becomes


@dataclass(frozen=True)
class Group:
    """A row group of a Parquet file: what one worker reads.

    Args:
        first: the row of its file that it begins with, from 1.
    """

    file: Path
    number: int
    first: int
    rows: int

    def blocks(self, rows: int) -> Iterator[tuple[str, pa.Table]]:
        """At most `rows` rows at once, and how to tell people where they stand."""
        first = self.first
        with pq.ParquetFile(self.file) as file:
            for batch in file.iter_batches(rows, row_groups=[self.number]):
                yield (
                    f"{self.file.name}, rows {first:,} to {first + batch.num_rows - 1:,}",
                    pa.Table.from_batches([batch]),
                )
                first += batch.num_rows


def groups(requests: Path, place: Path) -> list[Group]:
    """Those of all files at `requests`, in the order of names and rows. A CSV becomes a Parquet file in `place`.

    Raises:
        TriadError: they cannot be read, or hold no row.
    """
    try:
        if requests.is_dir():
            files = sorted(requests.rglob("*.parquet"))
        else:
            files = [requests if requests.suffix == ".parquet" else _of_csv(requests, place)]
        row_groups = [group for file in files for group in _groups(file)]
    except (OSError, pa.ArrowException) as error:
        mend = "name a Parquet or CSV file, or a folder of Parquet files"
        raise TriadError(f"cannot be read ({type(error).__name__})", where=str(requests), mend=mend) from error
    if not row_groups:
        raise TriadError("holds no row", where=str(requests), mend="give the rows that are asked about")
    return row_groups


def mark(requests: Path) -> str:
    """Differs with what lies at `requests`."""
    if requests.is_dir():
        return digest(requests)
    with requests.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _groups(file: Path) -> Iterator[Group]:
    known, first = pq.read_metadata(file), 1
    for number in range(known.num_row_groups):
        if rows := known.row_group(number).num_rows:
            yield Group(file, number, first, rows)
        first += rows


def _of_csv(requests: Path, place: Path) -> Path:
    with csv.open_csv(requests, _BYTES, _QUOTED) as read:
        types = {name: NUMBERS.get(name, pa.string()) for name in read.schema.names}  # an id 007 is no number
    place.mkdir(parents=True, exist_ok=True)
    made = place / f"{requests.stem}.parquet"
    with (
        csv.open_csv(requests, _BYTES, _QUOTED, csv.ConvertOptions(column_types=types)) as read,
        pq.ParquetWriter(made, read.schema) as file,
    ):
        for batch in read:
            file.write_batch(batch)
    return made
