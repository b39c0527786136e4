"""Tables of a database or a lake as Arrow pieces: what they share, whatever program reads them.

A relation is read once, only the columns of the mapping and only rows that can lie in the window, in batches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from triad.progress import Progress
from triad.sources.base import ROW
from triad.sources.clock import Bounds, Clock

log = logging.getLogger("triad.ingest")


class Relation(Protocol):
    """One table of a database or a lake."""

    @property
    def name(self) -> str:
        """The table, as it may be printed."""

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The types of the columns.

        Raises:
            TriadError: the table or a column is not there, or may not be read.
        """

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time.

        Raises:
            TriadError: they cannot be read.
        """


@dataclass(frozen=True)
class Windowed:
    """The rows of a relation that can lie in the window; it is one of `base.Rows`."""

    where: str
    relation: Relation
    clock: Clock | None
    is_ordered: bool = False  # a table has no order

    @property
    def name(self) -> str:
        return self.relation.name

    def place(self, row: int) -> tuple[str, int]:
        """The table, and the row's number among those that were read."""
        return self.name, row + 1

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The named columns, piece by piece, with `ROW` beside them.

        Raises:
            TriadError: the table cannot be read, or a column is not there.
        """
        wanted = list(dict.fromkeys([*columns, *([self.clock.column] if self.clock else [])]))
        schema = self.relation.schema(wanted)
        bounds = self.clock.bounds(schema.field(self.clock.column).type) if self.clock else None
        if self.clock and bounds is None:
            kind = schema.field(self.clock.column).type
            log.warning(
                "%s: column %s is %s, so the window cannot be asked for, and the whole table is read; a view with a "
                "column of type timestamp saves that",
                self.name,
                self.clock.column,
                kind,
            )
        row = 0
        with Progress(f"read {self.where}", 0, "rows") as progress:
            for batch in self.relation.batches(list(columns), bounds):
                numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                yield pa.table(batch).append_column(ROW, numbers)
                row += batch.num_rows
                progress.advance(batch.num_rows)
        log.info("read %s: %s rows%s", self.name, f"{row:,}", _said(bounds))


def _said(bounds: Bounds | None) -> str:
    if bounds is None:
        return ""
    since = "" if bounds.low is None else f"from {bounds.low} "
    return f" with {bounds.column} {since}before {bounds.high}"
