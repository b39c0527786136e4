"""Any database that SQLAlchemy has a dialect for, as Arrow: rows from the server's cursor, some thousands at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc

from triad.errors import TriadError
from triad.redaction import masked
from triad.sources.base import no_column, no_table
from triad.sources.clock import Bounds
from triad.sources.in_database import InDatabase

log = logging.getLogger("triad.ingest")

_ROWS = 20_000  # at a time
_SNAPSHOTS = ("REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE")
"""Levels of isolation that see one moment, the cheapest first."""

_ISO = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
"""SQLite's pattern of a text that sorts as the time does."""

_KINDS: tuple[tuple[type, pa.DataType], ...] = (
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.Date, pa.date32()),
)


@contextmanager
def connected(uri: str, at: str) -> Iterator[Connection]:
    """A transaction that sees one moment, where the database has such; `at` is what may be printed of `uri`.

    Raises:
        TriadError: the driver is missing, or the database cannot be reached.
    """
    with _explained(at):
        try:
            engine = sa.create_engine(uri, poolclass=sa.NullPool)
        except (exc.NoSuchModuleError, ImportError) as error:
            mend = "install the database's SQLAlchemy dialect and its driver beside triad"
            raise TriadError(masked(str(error)), where=at, mend=mend) from None
        with engine.connect() as opened:
            levels = _levels(engine, opened)
            level = next((each for each in _SNAPSHOTS if each in levels), None)
            if level is None:
                log.warning("%s: has no isolation that sees one moment; tables that change meanwhile may not agree", at)
            yield Connection(opened.execution_options(isolation_level=level) if level else opened, at)


def _levels(engine: sa.Engine, opened: sa.Connection) -> Sequence[str]:
    """The levels of isolation that the dialect knows; some know none."""
    connection = opened.connection.dbapi_connection
    assert connection is not None, "it has just been opened"
    try:
        return engine.dialect.get_isolation_level_values(connection)
    except NotImplementedError:
        return ()


@dataclass(frozen=True)
class Connection:
    """An open transaction."""

    opened: sa.Connection
    at: str

    @property
    def identity(self) -> str:
        url = self.opened.engine.url
        return f"{url.drivername} {url.host} {url.port} {url.database}"

    def relation(self, table: str, where: str) -> Table:
        """The table, which may be written `schema.table`; `where` is the params key."""
        return Table(self, table, where)


class Table(InDatabase[Connection]):
    """As SQLAlchemy reflects it."""

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The types of the columns.

        Raises:
            TriadError: the table or a column is not there.
        """
        known = self._reflected()
        for name in columns:
            if name not in known.c:
                raise no_column(name, list(known.c.keys()), self.name, self.where)
        return pa.schema([pa.field(name, _kind(known.c[name].type)) for name in columns])

    def days(self, bounds: Bounds, changed_at: str | None) -> None:
        """This reader does not tell."""

    def batches(self, columns: Sequence[str], bounds: Bounds | None) -> Iterator[pa.RecordBatch]:
        """The columns of the rows within the bounds, and of those that have no time.

        Raises:
            TriadError: the server goes away, or a value is not of its column's type.
        """
        schema, known = self.schema(columns), self._reflected()
        # JSON as the text that is stored, where the driver gives it
        asked = [sa.type_coerce(c, sa.Text).label(c.name) if isinstance(c.type, sa.JSON) else c for c in known.c]
        query = sa.select(*({c.name: c for c in asked}[name] for name in columns))
        if bounds is not None:
            column = known.c[bounds.column]
            inside = [column < bounds.high, *([] if bounds.low is None else [column >= bounds.low])]
            none = [column.is_(None)] if bounds.and_none else []
            query = query.where(sa.or_(sa.and_(*inside), *none, *self._incomparable(column)))
        with _explained(self.name):
            rows = self.connection.opened.execution_options(stream_results=True, yield_per=_ROWS).execute(query)
            for part in self._read(rows.partitions()):
                values = zip(*part, strict=True)
                arrays = [self._array(field, column) for field, column in zip(schema, values, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _incomparable(self, column: sa.Column[Any]) -> list[sa.ColumnElement[bool]]:
        """The rows whose value no bound can be compared with: they are asked for too, so that they are refused.

        SQLite keeps a time as the text that was written, and 05/01/2026 lies before every moment of the window.
        """
        if self.connection.opened.dialect.name != "sqlite" or not isinstance(column.type, sa.DateTime | sa.Date):
            return []
        return [sa.type_coerce(column, sa.Text).op("NOT GLOB")(_ISO)]

    def _array(self, field: pa.Field, values: Sequence[Any]) -> pa.Array:
        try:
            if pa.types.is_string(field.type):
                values = [value if value is None or isinstance(value, str) else _text(value) for value in values]
            if pa.types.is_integer(field.type):  # asked for whole numbers, Arrow cuts 12.5 to 12
                return pa.array(values).cast(field.type)
            if field.type == pa.timestamp("us") and any(value is not None and value.tzinfo for value in values):
                raise ValueError("Arrow would make it UTC's, and the mapping a zone's")
            return pa.array(values, field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise TriadError(
                f"holds a value that is no {field.type}",
                where=f"{self.name}, column {field.name}",
                mend="correct it, or read a view that casts the column",
            ) from None

    def _read(self, parts: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """`parts`, whose values SQLAlchemy converts while they come."""
        while True:
            try:
                part = next(parts, None)
            except (TypeError, ValueError, OverflowError, ArithmeticError):  # their texts hold the value
                mend = "correct it, or read a view that casts the column"
                raise TriadError("holds a value that is not of its column's type", where=self.name, mend=mend) from None
            if part is None:
                return
            yield part

    def _reflected(self) -> sa.Table:
        schema, _, table = self.table.rpartition(".")
        opened = self.connection.opened
        with _explained(self.name):
            try:
                return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=opened)
            except exc.NoSuchTableError:
                inspector = sa.inspect(opened)
                names = sorted([*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)])
        raise no_table(table, names, self.name, self.where)


def _kind(type_: sa.types.TypeEngine) -> pa.DataType:
    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        return pa.decimal128(38, 10 if type_.scale is None else max(type_.scale, 0))
    if isinstance(type_, sa.DateTime):
        return pa.timestamp("us", "UTC" if type_.timezone else None)
    return next((kind for known, kind in _KINDS if isinstance(type_, known)), pa.string())


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def _explained(at: str) -> Iterator[None]:
    """Turns what SQLAlchemy and its drivers raise into what an owner can act on. Their texts may hold values."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        original = getattr(error, "orig", None)
        said = masked(str(original or error).strip().splitlines()[0])
        passing = isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError)
        mend = (
            "see whether the server runs, whether this machine reaches it, and whether the user of "
            "ingest.files.database and the password in TRIAD_DATABASE_PASSWORD are right"
            if passing
            else "see what this user may read, and the types of the columns"
        )
        raise TriadError(
            f"{said} ({type(original or error).__name__})", where=at, mend=mend, transient=passing
        ) from None
