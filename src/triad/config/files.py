"""`ingest.files`: which files hold a shop's tables, and how their columns become the contract's.

Declarations only: nothing here names code to run. How they are carried out: `sources/mapping.py`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import unquote_plus

from pydantic import Field, field_validator, model_validator

from triad.config.base import Section, near
from triad.config.mapping import OFFSET, ColumnParams, ConditionParams, just_one, time_zone
from triad.config.texts import read_as
from triad.schema import EVENT_KINDS, TABLES, Column, Table

DERIVED = {
    "users": (),
    "items": ("title", "description", "category", "brand", "image_path", "attributes"),
    "prices": (),
}
"""Contract columns that a table derived from events may name; the others follow from the events' own columns."""

TOLD = {"users": ("signed_up_at",), "items": ("price_cents", "available_from")}
"""Contract columns that events can tell of a table's rows (`missing: from_events`)."""


RESERVED = ("rule", "is_cancellation", "row over all files")
"""Columns that reading adds to each row of a file or table, so no attribute of one can have these names."""


def check_quote(sign: str | None) -> str | None:
    """`sign`, where it can stand around quoted values of CSV."""
    if sign is not None and (len(sign) != 1 or not sign.isascii() or not sign.isprintable() or sign.isalnum()):
        raise ValueError(f"quote: {sign!r} is no single ASCII sign such as '\"'; null: quotes mean nothing")
    return sign


def check_encoding(name: str) -> str:
    """Python's own name of the text encoding `name`."""
    try:
        b"".decode(name)  # there are codecs that are not of text
        return codecs.lookup(name).name
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"{name!r} is no encoding Python knows, such as utf-8, latin-1 or cp1252") from error


def _address(text: str | None) -> str | None:
    """The address of a database, which stands in `dvc.lock` as it is written: no password is to stand in it."""
    if text is None:
        return None
    if re.match(r"[A-Za-z][\w+.-]*://[^@/?#]*:[^@]*@", text) or re.search(
        r"(?i)[?&;]\s*\w*(passw|pwd|secret|token)\w*\s*=", unquote_plus(text)
    ):
        raise ValueError("a password stands in it: take it out, and export TRIAD_DATABASE_PASSWORD=… before the run")
    if not re.match(r"[A-Za-z][\w+.-]*://|\$\{\w+\}", text):
        raise ValueError("is no address of a database, such as postgresql://user@host:5432/database")
    return text


class LimitsParams(Section):
    """What the files of a table may hold: a damaged or hostile one stops early, and fills neither memory nor disk."""

    record_bytes: int = Field(default=8 << 20, ge=1, description="the longest CSV record, or text in Parquet")
    columns: int = Field(default=5_000, ge=1, description="the most columns of CSV")
    files: int = Field(default=50_000, ge=1, description="the most files, members of archives included")
    unpacked_ratio: float = Field(default=200, gt=1, description="unpacked to packed size, where beyond 64 MiB")
    group_bytes: int = Field(default=2 << 30, ge=1, description="the largest row group of Parquet, as encoded")


_OF_FILES = ("format", "encoding", "delimiter", "quote", "multiline", "limits")


class TableParams(Section):
    """One contract table: of files (`path`), of a database (`table`), or derived from the events (`from: events`)."""

    path: str | None = Field(default=None, description="file, glob, folder or fsspec URL; ${NAME} is the environment's")
    table: str | None = Field(default=None, description="table or view of `database`, as `name` or `schema.name`")
    look_back_days: int | None = Field(
        default=None,
        ge=1,
        description="events of a database: days before `as_of` that are read again each time, for late and corrected "
        "events; older ones only if their number or `changed_at` says that they changed; null, and no "
        "`changed_at`: all are",
    )
    changed_at: str | None = Field(
        default=None, description="events of a database: the column that says when a row was last written"
    )
    from_: Literal["events"] | None = Field(default=None, alias="from")
    missing: Literal["from_events"] | None = Field(
        default=None,
        description="users, items: whom only events name is a row with empty attributes, and events tell what the "
        "mapping lacks of signed_up_at, price_cents and available_from; else as it stands",
    )
    format: Literal["csv", "parquet", "delta", "iceberg"] | None = Field(
        default=None, description="else by the file's suffix; delta and iceberg are tables of such a lake"
    )
    encoding: str = Field(default="utf-8", description="of CSV")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="of CSV")
    quote: str | None = Field(default='"', description="what quoted values of CSV stand between; null: nothing")
    multiline: bool = Field(
        default=False,
        description="quoted values may hold lines that read like records; else a stray quote is suspected",
    )
    limits: LimitsParams = LimitsParams()
    decimal: Literal[".", ","] = Field(default=".", description="decimal sign")
    thousands: Literal[".", ",", " ", "'", ""] | None = Field(
        default=None, description="sign that groups digits; '': none does; null: what could be grouped is refused"
    )
    null_values: tuple[str, ...] = Field(default=("",), description="texts of CSV that mean missing")
    timezone: str | None = Field(default=None, description="IANA zone of times written without one, for all columns")
    zones: dict[str, str] = Field(
        default={}, description="what stands behind times → IANA zone or offset, e.g. CET: Europe/Berlin, IST: '+05:30'"
    )
    columns: dict[str, ColumnParams] = Field(default={}, description="contract column → what it is made of")
    where: tuple[ConditionParams, ...] = Field(default=(), description="rows are kept where all of these hold")
    drop: tuple[ConditionParams, ...] = Field(default=(), description="rows go where any of these holds")
    cancelled: ConditionParams | None = Field(
        default=None, description="what the line of a cancelled purchase looks like"
    )

    _zone = field_validator("timezone")(time_zone)

    _known = field_validator("encoding")(check_encoding)
    _sign = field_validator("quote")(check_quote)

    @field_validator("zones")
    @classmethod
    def _zones(cls, zones: dict[str, str]) -> dict[str, str]:
        for zone in zones.values():
            if not re.fullmatch(OFFSET, zone):
                time_zone(zone)
        return zones

    @property
    def is_relation(self) -> bool:
        """Whether it is a table of a database or a lake, which can be asked for a part of its rows."""
        return self.table is not None or self.format in ("delta", "iceberg")

    @property
    def is_read(self) -> bool:
        """Whether it is read, and not derived from another."""
        return self.from_ is None

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the source that columns and conditions name."""
        conditions = [*self.where, *self.drop, *([self.cancelled] if self.cancelled else [])]
        made_of = [name for c in self.columns.values() for name in (c.column, *c.key, c.per) if name is not None]
        return (*made_of, *(condition.column for condition in conditions))

    @model_validator(mode="after")
    def _fits(self) -> TableParams:
        just_one(self, ("path", "table", "from_"))
        if self.is_relation:
            if wrong := sorted(self.model_fields_set & set(_OF_FILES) - ({"format"} if self.table is None else set())):
                raise ValueError(f"{', '.join(wrong)}: is for files, and this is a table of a database or a lake")
            if any(column.row_number for column in self.columns.values()):
                raise ValueError("row_number: rows of a table have no order; name a column or a `key`")
        if self.delimiter in (self.quote, "\r", "\n", "\0"):
            raise ValueError(f"delimiter: {self.delimiter!r} is a line's end or the quote sign")
        if self.thousands and self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}")
        idle = sorted(self.model_fields_set - {"from_", "columns"})
        if self.from_ and idle:
            raise ValueError(f"{', '.join(idle)}: say it for the events, which this table is derived from")
        return self


class FilesParams(Section):
    """A shop's files and tables of its database, one entry a contract table."""

    database: str | None = Field(
        default=None,
        description="address of the database of all `table`s, without a password, e.g. postgresql://user@host/name; "
        "${NAME} is the environment's",
    )
    events: TableParams
    users: TableParams = TableParams.model_validate({"from": "events"})
    items: TableParams = TableParams.model_validate({"from": "events"})
    prices: TableParams | None = None
    searches: TableParams | None = None
    conversations: TableParams | None = None
    sample_users: float = Field(
        default=1.0, gt=0, le=1, description="share of users kept, by md5 of their id: for trials"
    )

    _at = field_validator("database")(_address)

    @property
    def tables(self) -> dict[str, TableParams]:
        """The tables that are given or derived, in the contract's order."""
        return {name: table for name in TABLES if (table := getattr(self, name)) is not None}

    @property
    def is_numbered(self) -> bool:
        """Whether ids of events follow the place of their rows among all rows."""
        return any(column.row_number for column in self.events.columns.values())

    @property
    def personal_ids(self) -> frozenset[str]:
        """`table.column` of the ids that are made of a source column of which something personal is made too."""
        names: set[str] = set()
        for name, table in self.tables.items():
            columns, contract = table.columns, TABLES[name]
            others = self.users.columns if name == "events" and self.users.from_ else {}
            own = [c for n, c in columns.items() if n not in contract.names or contract.column(n).personal]
            own = [c for c in own if c is not columns.get("session_id")]  # a visit is not yet somebody
            personal = {source for c in (*own, *others.values()) for source in (c.column, *c.key)} - {None}
            ids = {n: c for n, c in columns.items() if n.endswith("_id")}
            names |= {f"{name}.{n}" for n, c in ids.items() if personal & {c.column, *c.key}}
        return frozenset(names)

    @model_validator(mode="after")
    def _names(self) -> FilesParams:
        for name, table in self.tables.items():
            derived = [other for other in self.tables.values() if other.from_] if name == "events" else []
            for names in (table.columns, [each for mapped in (table, *derived) for each in mapped.sources]):
                _check_case(name, names)
            if table.is_read and (taken := [each for each in table.columns if each.lower() in RESERVED]):
                raise ValueError(f"{name}.columns.{taken[0]}: reading adds a column of this name; choose another")
        return self

    @model_validator(mode="after")
    def _fits(self) -> FilesParams:
        for name, table in self.tables.items():
            if table.from_ and name not in DERIVED:
                raise ValueError(f"{name} cannot be derived; name a path")
            if table.table and not self.database:
                raise ValueError(f"{name}.table: say which database it lies in: ingest.files.database")
            _check_columns(TABLES[name], table)
        events = self.events
        if events.cancelled and "quantity" not in events.columns:
            raise ValueError("events.cancelled needs events.columns.quantity, to find the purchase that a line cancels")
        if self.items.from_ and "price_cents" not in events.columns:
            raise ValueError("items derived from events need events.columns.price_cents")
        if wrong := [n for n, t in self.tables.items() if (t.look_back_days or t.changed_at) and n != "events"]:
            raise ValueError(f"{wrong[0]}: look_back_days and changed_at are for events")
        if (events.look_back_days or events.changed_at) and events.table is None:
            raise ValueError("events: look_back_days and changed_at are for a `table` of a database")
        if wrong := [n for n, t in self.tables.items() if t.missing and n not in ("users", "items")]:
            raise ValueError(f"{wrong[0]}.missing: only users and items can be completed")
        if self.items.missing and "price_cents" not in events.columns:
            raise ValueError("items.missing: from_events needs events.columns.price_cents")
        if self.prices and self.prices.from_ and "price_cents" not in events.columns:
            raise ValueError("prices derived from events need events.columns.price_cents")
        if wrong := [n for n, t in self.tables.items() if t.cancelled and n != "events"]:
            raise ValueError(f"{wrong[0]}.cancelled: only events can be cancelled")
        return self


def _check_case(table: str, names: Iterable[str]) -> None:
    """DuckDB takes `Club` and `club` for one column."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            raise ValueError(f"{table}: {other!r} and {name!r} differ by capitals alone: rename one of the columns")


def _check_columns(table: Table, params: TableParams) -> None:
    """Whether the columns named are the contract's, and each carries what its kind needs."""
    names: tuple[str, ...] = DERIVED[table.name] if params.from_ else table.names
    for name, column in params.columns.items():
        where = f"{table.name}.columns.{name}"
        if name not in table.names and table.open:
            declared = Column(name, "string", "attribute")
        elif name in names:
            declared = table.column(name)
        else:
            raise ValueError(f"{where}: unknown column{near(name, names)}")
        if declared.unit == "cents" and column.unit is None and column.constant is None:
            raise ValueError(f"{where}: say `unit: major` (pounds, euros) or `unit: minor` (pence, cents)")
        if declared.unit != "cents" and column.unit is not None:
            raise ValueError(f"{where}: `unit` is for money")
        if (wrong := _wrong_value(declared, column)) is not None:
            raise ValueError(f"{where}{wrong}")
        if column.round and column.unit != "major":
            raise ValueError(f"{where}: `round` is for money of `unit: major`")
        if declared.type not in ("timestamp", "date") and (column.format or column.epoch or column.timezone):
            raise ValueError(f"{where}: `format`, `epoch` and `timezone` are for times")
        if declared.type != "string" and (column.key or column.row_number):
            raise ValueError(f"{where}: `key` and `row_number` make texts")
    if params.is_read:
        lacking = [c.name for c in table.columns if not c.nullable and c.name not in params.columns]
        told = [name for name in lacking if name in TOLD.get(table.name, ())]
        if lacking != told or (lacking and not params.missing):
            events = f", or `missing: from_events` ({', '.join(told)})" if told and not params.missing else ""
            raise ValueError(
                f"{table.name}.columns: {', '.join(lacking)} missing; each needs a source column or a constant{events}"
            )


def _wrong_value(declared: Column, column: ColumnParams) -> str | None:
    """What is wrong with the values that the mapping itself writes: a constant, or a kind of event that is none."""
    if (is_as := _wrong_constant(declared, column.constant)) is not None:
        return f".constant: a text is meant, and YAML reads {is_as}; quote it as it should be"
    written = [*column.map.values(), column.default, column.constant] if declared.name == "kind" else []
    for each in written:
        if each is not None and each not in EVENT_KINDS:
            return f": {each!r} is no kind of event{near(str(each), EVENT_KINDS)}"
    return None


def _wrong_constant(column: Column, constant: str | bool | float | None) -> str | None:
    """What YAML has made of a constant that is not of its column's kind."""
    fitting: dict[str, type | tuple[type, ...]] = {"int64": (int, float), "float64": (int, float), "bool": bool}
    if constant is None or isinstance(constant, str):
        return None
    fits = isinstance(constant, fitting.get(column.type, ())) and isinstance(constant, bool) == (column.type == "bool")
    return None if fits else read_as(constant)
