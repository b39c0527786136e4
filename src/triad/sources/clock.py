"""Which rows of a source can lie in the window, said in the type of its own column of times.

What a source is asked for may be a little more than the window: `files.py` cuts it exactly. It is never less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from triad.config.files import TableParams
from triad.schema import TABLES
from triad.sources.cells import quote

TIMES = {"users": "signed_up_at", "items": "available_from", "events": "occurred_at", "prices": "day"}
"""Table → the column of the contract that says when a row became known."""

_TICKS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_FAR = timedelta(days=1)  # more than any zone is away from UTC


@dataclass(frozen=True)
class Bounds:
    """`low <= column < high` in values of the column's type; no `low`: from the beginning.

    Rows without a time are asked for too if `and_none`, so that they are refused as in files.
    """

    column: str
    low: Any
    high: Any
    and_none: bool = True

    def condition(self, sql: Callable[[Any], str]) -> str:
        """The condition on a row as SQL; `sql` writes a moment in the dialect."""
        column = quote(self.column)
        low = f"{column} >= {sql(self.low)} AND " if self.low is not None else ""
        none = f" OR {column} IS NULL" if self.and_none else ""
        return f"({low}{column} < {sql(self.high)}){none}"


@dataclass(frozen=True)
class Clock:
    """A source's column of times and the moments `[first, last)` that are asked for; `first` None: no first one.

    Args:
        zoned: whether its moments are read as the days of a zone, which begin at other moments than the window's.
    """

    column: str
    epoch: str | None
    first: datetime | None
    last: datetime
    zoned: bool = False

    def is_exact(self, bounds: Bounds) -> bool:
        """Whether the bounds are the window's own moments."""
        return self.first is not None and (bounds.low, bounds.high) == (self.first, self.last)

    def bounds(self, kind: pa.DataType) -> Bounds | None:
        """The moments as values of Arrow type `kind`; None where they cannot be compared, as times in texts."""
        wide = self.first and self.first - _FAR, self.last + _FAR
        low, high = wide if self.zoned else (self.first, self.last)
        if pa.types.is_timestamp(kind) and kind.tz:
            return Bounds(self.column, low, high)
        if self.epoch and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            ticks = [each and int(each.timestamp()) * _TICKS[self.epoch] for each in (low, high)]
            return Bounds(self.column, ticks[0], ticks[1])
        low, high = wide
        if pa.types.is_timestamp(kind):
            return Bounds(self.column, low and low.replace(tzinfo=None), high.replace(tzinfo=None))
        if pa.types.is_date(kind):
            return Bounds(self.column, low and low.date(), high.date())
        return None


def clock(name: str, table: TableParams, window: tuple[datetime, datetime]) -> Clock | None:
    """How rows of table `name` of the contract are told to lie in the `window`; None where none of its columns tells.

    Events and prices are asked for from the window's first moment on. Users and items are needed however old.
    """
    params = table.columns.get(TIMES.get(name, ""))
    if params is None or params.column is None:
        return None
    zoned = TIMES[name] == "day" and bool(params.timezone or table.timezone)
    return Clock(params.column, params.epoch, window[0] if TABLES[name].day_of else None, window[1], zoned)
