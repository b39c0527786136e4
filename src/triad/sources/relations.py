"""Tables of a database or a lake as Arrow pieces: what they share, whatever program reads them.

A relation is read once, only the columns of the mapping and only rows that can lie in the window, in batches.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from triad.progress import Progress
from triad.sources.base import ROW, SPACE, Part
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

    @property
    def identity(self) -> str:
        """What no other table has. It holds what variables stand for, and no password."""

    def days(self, bounds: Bounds, changed_at: str | None) -> Mapping[date, str] | None:
        """Each UTC day with rows within the bounds → how many, and the last time that one of them changed.

        None where that cannot be asked.
        """

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time where the bounds say so.

        Raises:
            TriadError: they cannot be read.
        """


@dataclass(frozen=True)
class Windowed:
    """The rows of a relation that can lie in the window; it is one of `base.Rows`.

    Args:
        where: the params key of the table.
        relation: the table.
        clock: its column of times, and the window.
        look_back_days: days before the window's end that are read every time.
        changed_at: its column that says when a row was last written.
    """

    where: str
    relation: Relation
    clock: Clock | None
    look_back_days: int | None = None
    changed_at: str | None = None
    is_ordered: bool = False  # a table has no order

    @property
    def name(self) -> str:
        return self.relation.name

    def place(self, row: int) -> tuple[str, int]:
        """The table, and the row's number among those that were read."""
        return self.name, row % SPACE + 1

    def parts(self) -> Sequence[Part]:
        """The days of the window, where the params say how a change of an old day is noticed."""
        if self.clock is None or (self.look_back_days is None and self.changed_at is None):
            return ()
        bounds = self.clock.bounds(self.relation.schema([self.clock.column]).field(0).type)
        days = self.relation.days(bounds, self.changed_at) if bounds and self.clock.is_exact(bounds) else None
        if days is None:
            log.warning(
                "%s: its days cannot be told apart, so nothing is kept; the time must be a timestamptz", self.name
            )
            return ()
        recent = self.clock.last.date() - timedelta(days=self.look_back_days or 0)
        return [
            Part(
                name=f"{self.relation.identity} {day}",
                version=days[day],
                rows=f"CAST(occurred_at AS DATE) = DATE '{day}'",
                first_row=number * SPACE,
                is_renumbered=True,
                is_read_again=day >= recent,
            )
            for number, day in enumerate(sorted(days), 1)
        ]

    def pieces(self, columns: Sequence[str], known: Collection[str] | None = None) -> Iterator[pa.Table]:
        """The named columns, piece by piece, with `ROW` beside them.

        Args:
            columns: of the table.
            known: the days that are not to be read (`Part.name`).

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
            for each in self._ranges(bounds, known or ()):
                before = row
                for batch in self.relation.batches(list(columns), each):
                    numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                    yield pa.table(batch).append_column(ROW, numbers)
                    row += batch.num_rows
                    progress.advance(batch.num_rows)
                log.info("read %s: %s rows%s", self.name, f"{row - before:,}", _said(each))

    def _ranges(self, bounds: Bounds | None, known: Collection[str]) -> list[Bounds | None]:
        """The window without the days that are known. Rows without a time are asked for once."""
        if bounds is None or not known:
            return [bounds]
        ranges: list[tuple[Any, Any]] = []
        start = None
        first, days = bounds.low, (bounds.high - bounds.low).days
        for day in (first + timedelta(days=number) for number in range(days)):
            if f"{self.relation.identity} {day.date()}" in known:
                ranges += [(start, day)] if start else []
                start = None
            else:
                start = start or day
        ranges += [(start, bounds.high)] if start else []
        asked = [replace(bounds, low=low, high=high, and_none=False) for low, high in ranges]
        return [replace(asked[0], and_none=True), *asked[1:]] if asked else [replace(bounds, high=first)]


def _said(bounds: Bounds | None) -> str:
    if bounds is None:
        return ""
    since = "" if bounds.low is None else f"from {bounds.low} "
    return f" with {bounds.column} {since}before {bounds.high}"
