"""Iceberg tables: one snapshot, of a catalog (`iceberg://catalog/schema.table`) or of a metadata file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyiceberg import exceptions
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, IsNull, LessThan, Or
from pyiceberg.table import StaticTable

from triad.errors import TriadError
from triad.sources.clock import Bounds
from triad.sources.lake_version import Version, chosen, explained

_NO = (exceptions.NoSuchTableError, exceptions.NoSuchNamespaceError, exceptions.NoSuchIdentifierError)
_BAD = (
    exceptions.RESTError,
    exceptions.ResolveError,
    exceptions.SignError,
    exceptions.ValidationError,
    exceptions.NotInstalledError,
    OSError,
    ValueError,
)
_CATALOG = re.compile(r"iceberg://([^/]+)/(.+)")


def opened(place: str, at: str, where: str) -> Table:
    """The present snapshot of the table at `place`; `at` is what may be printed of it, `where` the params key.

    Raises:
        TriadError: there is none, or it cannot be read.
    """
    with explained(at, _NO, _BAD):
        if named := _CATALOG.fullmatch(place):
            table: Any = load_catalog(named[1]).load_table(named[2])
        else:
            try:
                table = StaticTable.from_metadata(place)
            except FileNotFoundError:
                mend = "name the newest …/metadata/….metadata.json, or the catalog: iceberg://catalog/schema.table"
                what = "names no Iceberg table, or one that only its catalog knows"
                raise TriadError(what, where=at, mend=mend) from None
        snapshot = table.current_snapshot()
        return Table(f"{at}, snapshot {snapshot.snapshot_id if snapshot else 'none'}", where, table)


class Table(Version):
    """One snapshot."""

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The types of the columns.

        Raises:
            TriadError: a column is not there.
        """
        return chosen(self.table.schema().as_arrow(), columns, self.name, self.where)

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time.

        Raises:
            TriadError: they cannot be read.
        """
        with explained(self.name, _NO, _BAD):
            scan = self.table.scan(row_filter=_rows(bounds), selected_fields=tuple(columns))
            for batch in scan.to_arrow_batch_reader():
                yield batch.select(list(columns))


def _rows(bounds: Bounds | None) -> BooleanExpression:
    if bounds is None:
        return AlwaysTrue()
    low, high = (
        each if each is None or isinstance(each, int) else each.isoformat() for each in (bounds.low, bounds.high)
    )
    before = LessThan(bounds.column, high)
    inside = before if low is None else And(GreaterThanOrEqual(bounds.column, low), before)
    return Or(inside, IsNull(bounds.column)) if bounds.and_none else inside
