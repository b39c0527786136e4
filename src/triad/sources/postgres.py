"""PostgreSQL, and what speaks its protocol, as Arrow through ADBC: the server's binary COPY, a few megabytes at a time.

All tables of an ingest are read in one transaction, repeatable read and read only: they are of one moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from triad.errors import TriadError
from triad.redaction import masked
from triad.sources.base import no_column, no_table
from triad.sources.cells import literal, quote
from triad.sources.clock import Bounds
from triad.sources.in_database import InDatabase

_DIGITS = 10
"""Decimals that a `numeric` without a scale may have."""

_PASSING = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that may pass by themselves: connections, conflicts, resources, an operator's hand."""


@contextmanager
def connected(uri: str, at: str, identity: str) -> Iterator[Connection]:
    """A read-only transaction that sees one moment of the database.

    Args:
        uri: its address, with the password.
        at: what may be printed of it.
        identity: what no other database has.

    Raises:
        TriadError: there is no server, no such database, or the user is refused.
    """
    with _explained(at):
        opened = adbc.connect(uri)
    with opened:
        with _explained(at), opened.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield Connection(opened, at, identity)


@dataclass(frozen=True)
class Connection:
    """An open transaction."""

    opened: Any
    at: str
    identity: str

    def relation(self, table: str, where: str) -> Table:
        """The table, which may be written `schema.table`; `where` is the params key."""
        return Table(self, table, where)

    def lines(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        with self.opened.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


class Table(InDatabase[Connection]):
    """As the server describes it."""

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The types of the columns, as they will come.

        Raises:
            TriadError: the table or a column is not there, may not be read, or has a type without one meaning.
        """
        return pa.schema([pa.field(field.name, _kind(field)[0]) for field in self._fields(columns)])

    def days(self, bounds: Bounds, changed_at: str | None) -> dict[date, str]:
        """Each UTC day with rows within the bounds → how many, and the last time that one of them changed.

        Raises:
            TriadError: the server stops the query, or there is no column `changed_at`.
        """
        if changed_at:
            self._fields([changed_at])
        last = f"CAST(max({quote(changed_at)}) AS text)" if changed_at else "''"
        day = f"CAST({quote(bounds.column)} AT TIME ZONE 'UTC' AS date)"
        within = _where(replace(bounds, and_none=False))
        with _explained(self.name):
            counts = self.connection.lines(f"SELECT {day}, count(*), {last} FROM {self._sql}{within} GROUP BY 1")
        return {day: f"{count} {changed}" for day, count, changed in counts}

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time.

        Raises:
            TriadError: the server goes away, stops the query, or sends what cannot be read.
        """
        fields = self._fields(columns)
        kinds = [_kind(field) for field in fields]
        parts = ", ".join(sql for _, sql in kinds)
        with _explained(self.name), self.connection.opened.cursor() as cursor:
            cursor.execute(f"SELECT {parts} FROM {self._sql}{_where(bounds)}")
            for batch in cursor.fetch_record_batch():
                arrays = [_as(array, kind) for array, (kind, _) in zip(batch.columns, kinds, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names=[field.name for field in fields])

    @property
    def _sql(self) -> str:
        return ".".join(map(quote, self.table.split(".")))

    def _fields(self, columns: Sequence[str]) -> list[pa.Field]:
        try:
            with self.connection.opened.cursor() as cursor:
                cursor.execute(f"SELECT {', '.join(map(quote, columns))} FROM {self._sql} LIMIT 0")
                fields = list(cursor.fetch_record_batch().schema)
        except adbc.Error as error:
            raise self._absent(columns, error) from None
        for field in fields:
            if _metadata(field, "type") == "money":
                raise TriadError(
                    "is of type money, whose meaning depends on the server's settings",
                    where=f"{self.name}, column {field.name}",
                    mend="read a view that casts it: amount::numeric",
                )
        return fields

    def _absent(self, columns: Sequence[str], error: adbc.Error) -> TriadError:
        """What is wrong with the table or a column, with the names that are there."""
        known = self.connection
        if error.sqlstate not in ("42P01", "3F000", "42703"):
            return _told(error, self.name)
        known.opened.rollback()
        if error.sqlstate == "42703":
            listed = known.lines(
                f"SELECT attname FROM pg_attribute WHERE attrelid = to_regclass({literal(self._sql)}) "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
            names = [name for (name,) in listed]
            missing = next((name for name in columns if name not in names), columns[0])
            return no_column(missing, names, self.name, self.where)
        listed = known.lines(
            "SELECT CASE WHEN pg_table_is_visible(oid) THEN relname ELSE relnamespace::regnamespace || '.' || relname "
            "END FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p') "
            "AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return no_table(self.table, [name for (name,) in listed], self.name, self.where)


def _metadata(field: pa.Field, key: str) -> str:
    return str((field.metadata or {}).get(f"POSTGRESQL:{key}".encode(), b"").decode())


def _kind(field: pa.Field) -> tuple[pa.DataType, str]:
    """The Arrow type that a column shall have, and the SQL that asks for it."""
    kind, sql = field.type, quote(field.name)
    if _metadata(field, "type") == "numeric":
        modifier = int(_metadata(field, "typmod") or -1) - 4
        precision, scale = modifier >> 16 & 0xFFFF, modifier & 0x7FF
        scale = _DIGITS if modifier < 0 else 0 if scale >= 1024 else scale  # scales below zero are whole numbers
        return (pa.decimal128(38, scale) if modifier < 0 or precision <= 38 else pa.string()), sql
    if isinstance(kind, pa.UuidType) or not isinstance(kind, pa.BaseExtensionType):
        return kind, sql
    return pa.string(), f"CAST({sql} AS text) AS {sql}"  # an enum, JSON, an address


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The array in a type that `_kind` names. A decimal goes through 256 bits, where a long number cannot wrap."""
    if array.type.equals(kind):
        return array
    plain = array.storage if isinstance(array, pa.ExtensionArray) else array
    return plain.cast(pa.decimal256(76, kind.scale)).cast(kind) if pa.types.is_decimal(kind) else plain.cast(kind)


def _where(bounds: Bounds | None) -> str:
    return "" if bounds is None else f" WHERE {bounds.condition(_sql)}"


def _sql(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{'TIMESTAMPTZ' if value.tzinfo else 'TIMESTAMP'} {literal(value.isoformat())}"
    return f"DATE {literal(value.isoformat())}" if isinstance(value, date) else str(value)


@contextmanager
def _explained(at: str) -> Iterator[None]:
    """Turns what driver and Arrow raise into what an owner can act on."""
    try:
        yield
    except adbc.Error as error:
        raise _told(error, at) from None
    except OSError as error:  # while rows come
        mend = "see the server's log"
        what = f"stopped sending: {_first(str(error))}"
        raise TriadError(what, where=at, mend=mend, transient=True) from None
    except pa.ArrowException as error:
        raise TriadError(
            f"sends what cannot be read: {masked(str(error))}",
            where=at,
            mend=f"a numeric without a scale may have {_DIGITS} decimals and 28 digits before them, and no NaN: "
            "read a view that casts it",
        ) from None


def _told(error: adbc.Error, at: str) -> TriadError:
    text, state = str(error), error.sqlstate or ""
    mend = "see the server's log"
    lasting = bool(state) and not state.startswith(_PASSING)
    if "password authentication" in text or "no password supplied" in text or "no pg_hba.conf entry" in text:
        lasting, mend = True, "set the user in ingest.files.database and the password in TRIAD_DATABASE_PASSWORD"
    elif "does not exist" in text and "database" in text:
        lasting, mend = True, "correct the database's name in ingest.files.database"
    elif "Failed to connect" in text:
        lasting, mend = "URI" in text, "see whether the server runs, and whether this machine reaches it"
    elif state == "42501":
        mend = "GRANT SELECT on it to this user"
    return TriadError(f"{_first(text)}{f' ({state})' if state else ''}", where=at, mend=mend, transient=not lasting)


def _first(text: str) -> str:
    """What the server says, without the query and the values between quotes."""
    line = text.partition("Query was:")[0].strip().splitlines()[0]
    return masked(line.rpartition("failed: ")[2].rpartition("[libpq] ")[2])
