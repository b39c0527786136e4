"""The unit `lists`: from a user's state, which items of the whole catalogue are turned to next?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triad.arrays import Ints
from triad.examples.base import Made, Unit

if TYPE_CHECKING:
    import duckdb

    from triad.features.source import Source


@dataclass(frozen=True)
class Lists:
    """Queries, each answered by ranking the catalogue. Of the splits after train."""

    user: Ints  # (q,)
    history: Ints  # (q,) interactions strictly before, at least one
    time: Ints  # (q,) µs of the targets
    split: Ints  # (q,)
    offsets: Ints  # (q + 1,)
    target: Ints  # catalogue rows; query i's are target[offsets[i]:offsets[i + 1]], each once, ascending


class _Unit(Unit):
    name = "lists"
    arrays = Lists
    key = None
    always = True
    tables = ()
    inputs = ()  # the source task's network reads them, from their states

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        return ()

    def make(self, source: Source) -> Made:
        from triad.features.streams import lists

        meta = source.state.meta
        return Made(lists(source.streams, source.stream_user, meta.target_kind, meta.windows))


UNIT = _Unit()
