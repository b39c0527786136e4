"""Where a window's events lie, and who works on parts of them.

`Own` is the session of this process and its threads. `triad.spark` has one that lies on a cluster. Both give the same
bits: what is made of a part is made by the same functions and the same SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import duckdb
import numpy as np

from triad.arrays import Ints
from triad.features import catalogue, exposures, parts, signals
from triad.features.followed import followed
from triad.features.parts import Part
from triad.features.signals import Funnel
from triad.features.sql import columns

T = TypeVar("T")
Item = TypeVar("Item")


class Log(Protocol):
    """The events, and the tables that are made of them. Its methods are called in this order."""

    parts_folder: str
    """Of a store: engines cut parts differently."""
    is_here: bool
    """Whether this process itself does the work that `each` is given."""

    @property
    def tables(self) -> Any:
        """Answers SQL that both engines read alike, over the tables `events`, then `activity`, then `signal`."""

    def activity(self) -> None:
        """Leave `query_row` and `activity` in the session, which has `user_row` and `item_row`."""

    def measure(self, funnel: Funnel, negatives: int, seed: int, hours: int) -> None:
        """Leave `exposure` and `signal` where the parts are, and `place` and `place_day` in the session."""

    def parts(self, users: int) -> Sequence[Part]:
        """All exposures, in order."""

    def opened(self, part: Part) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session that has at least this part of `activity`, `exposure` and `signal`."""

    def each(self, work: Callable[[Item], T], of: Sequence[Item]) -> list[T]:
        """`work` of each, in order, by as many workers as there are. What it calls `opened` for is a part at hand."""

    def reached(self, kinds: tuple[int, ...], within: int) -> Ints:
        """Rows of the exposures that events follow (`tasks.following.reached`), ascending."""

    def forget(self) -> None:
        """Drop what the sums were taken of."""


class Own:
    """The events in a DuckDB session of this process."""

    parts_folder = "parts"
    is_here = True

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self.tables = session

    def activity(self) -> None:
        catalogue.activity(self.tables)

    def measure(self, funnel: Funnel, negatives: int, seed: int, hours: int) -> None:
        exposures.build(self.tables, funnel.kinds[0], negatives, seed)
        signals.measure(self.tables, funnel, hours)

    def parts(self, users: int) -> Sequence[Part]:
        return parts.cut(self.tables, users)

    def opened(self, part: Part) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return parts.cursor(self.tables)

    def each(self, work: Callable[[Item], T], of: Sequence[Item]) -> list[T]:
        return parts.side_by_side(self.tables, work, of)

    def reached(self, kinds: tuple[int, ...], within: int) -> Ints:
        return rows_reached(self.tables, kinds, within)

    def forget(self) -> None:
        signals.forget(self.tables)


def rows_reached(session: duckdb.DuckDBPyConnection, kinds: tuple[int, ...], within: int) -> Ints:
    """Rows of the session's exposures that events of `kinds` follow, ascending."""
    return np.asarray(columns(session, f"SELECT row FROM {followed(session, kinds, within)} ORDER BY row")["row"])
