"""Delta Lake tables: DataFusion reads one version, with its deletion vectors and renamed columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError

from triad.sources.cells import literal, quote
from triad.sources.clock import Bounds
from triad.sources.lake_version import Version, chosen, explained

_NO, _BAD = (TableNotFoundError,), (DeltaError, OSError, ValueError)


def opened(place: str, at: str, where: str) -> Table:
    """The newest version of the table at `place`; `at` is what may be printed of it, `where` the params key.

    Raises:
        TriadError: there is none, or it cannot be read.
    """
    with explained(at, _NO, _BAD):
        table = DeltaTable(place)
        return Table(f"{at}, version {table.version()}", where, table)


class Table(Version):
    """One version."""

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The types of the columns.

        Raises:
            TriadError: a column is not there.
        """
        return chosen(pa.schema(self.table.schema().to_arrow()), columns, self.name, self.where)

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time.

        Raises:
            TriadError: they cannot be read.
        """
        sql = f"SELECT {', '.join(map(quote, columns))} FROM lake{_where(bounds)}"
        with explained(self.name, _NO, _BAD):
            yield from pa.RecordBatchReader.from_stream(QueryBuilder().register("lake", self.table).execute(sql))


def _where(bounds: Bounds | None) -> str:
    return "" if bounds is None else f" WHERE {bounds.condition(_sql)}"


def _sql(value: Any) -> str:
    """A bound in DataFusion's SQL, in the column's own type."""
    if isinstance(value, datetime):
        zone = 'Some("UTC")' if value.tzinfo else "None"
        return f"arrow_cast({literal(value.isoformat())}, {literal(f'Timestamp(Microsecond, {zone})')})"
    return f"DATE {literal(value.isoformat())}" if isinstance(value, date) else str(value)
