"""From a column mapping to SQL: each contract column an expression over source columns, and what can be wrong in it.

A conversion that fails gives NULL, and its `Fault` gives the text it failed on, so that one pass over the file yields
both the table and a report of all bad values. Texts of the mapping enter the SQL only quoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from triad.config.files import ColumnParams, ConditionParams, TableParams
from triad.errors import TriadError
from triad.schema import EVENT_KINDS, Column
from triad.sources.reading import ROW

_MINOR_DIGITS = dict.fromkeys(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ),
    0,
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
"""ISO 4217: digits of the minor unit, where they are not 2."""

_EPOCH = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_ZONED = r":\d\d.*([zZ]|[+-]\d\d(:?\d\d)?| ?[A-Za-z_]+/?[A-Za-z_]*)$"
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_EXACT = float(2**53)


@dataclass(frozen=True)
class Fault:
    """A way a value can be bad: `sql` is the offending text, NULL where all is well."""

    source: str
    what: str
    mend: str
    sql: str


@dataclass(frozen=True)
class Value:
    """A contract column's SQL, and the ways it can fail."""

    sql: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class _Cell:
    """What a contract column is made of: a source's name for it and DuckDB type, as it stands and as changed text."""

    source: str
    kind: str
    raw: str
    text: str
    decimal: str

    @property
    def number(self) -> str:
        """As a finite DOUBLE."""
        if self.kind != "VARCHAR":
            number = f"TRY_CAST({self.raw} AS DOUBLE)"
        elif self.decimal == ".":
            number = f"TRY_CAST({self.text} AS DOUBLE)"
        else:
            number = f"TRY_CAST(replace({self.text}, {literal(self.decimal)}, '.') AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"

    def fault(self, is_bad: str, what: str, mend: str) -> Fault:
        return Fault(self.source, what, mend, f"CASE WHEN {is_bad} THEN {self.text} END")

    def convertible(self, sql: str, what: str, mend: str) -> Value:
        """`sql`, at fault where there is a text and `sql` makes nothing of it."""
        return Value(sql, (self.fault(f"{self.text} IS NOT NULL AND {sql} IS NULL", what, mend),))


def quote(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def sources(params: ColumnParams) -> tuple[str, ...]:
    """The source columns that a contract column is made of."""
    return (params.column,) if params.column else params.key


def value(column: Column, params: ColumnParams, table: TableParams, types: Mapping[str, str], currency: str) -> Value:
    """A contract column as SQL over source columns of the DuckDB `types`; amounts are of `currency` (ISO 4217)."""
    if params.row_number:
        return Value(f"lpad(CAST({quote(ROW)} AS VARCHAR), 12, '0')")
    if params.key:
        parts = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in params.key)
        return Value(f"concat_ws(':', {parts})")
    kind = types[params.column] if params.column else "VARCHAR"
    raw = quote(params.column) if params.column else literal(params.constant or "")
    cell = _Cell(params.column or "(constant)", kind, raw, _text(raw, params), table.decimal)
    if column.kind == "string":
        made = Value(cell.text, _event_kinds(cell) if column.name == "kind" else ())
    elif column.kind == "bool":
        made = cell.convertible(f"TRY_CAST({cell.text} AS BOOLEAN)", "neither true nor false", "name them in `map`")
    elif column.kind in ("timestamp", "date"):
        made = _time(column, params, cell, params.timezone or table.timezone)
    else:
        made = _number(column, params, cell, currency)
    if column.nullable or not params.column:
        return made
    mend = f"leave such rows out: where: [{{column: {params.column}, present: true}}]"
    empty = Fault(cell.source, "empty", mend, f"CASE WHEN {cell.text} IS NULL THEN '' END")
    return Value(made.sql, (*made.faults, empty))


def condition(params: ConditionParams, table: TableParams, types: Mapping[str, str]) -> Value:
    """A condition as SQL that is true or false, never NULL."""
    raw = quote(params.column)
    text = f"nullif(CAST({raw} AS VARCHAR), '')"
    if params.present is not None:
        return Value(f"({text} IS {'NOT ' if params.present else ''}NULL)")
    if params.above is not None or params.below is not None:
        cell = _Cell(params.column, types[params.column], raw, text, table.decimal)
        test = f"> {params.above!r}" if params.above is not None else f"< {params.below!r}"
        made = cell.convertible(cell.number, "not a number", "correct them, or compare another column")
        return Value(f"coalesce({made.sql} {test}, false)", made.faults)
    if params.starts_with is not None:
        test = f"starts_with({text}, {literal(params.starts_with)})"
    elif params.matches is not None:
        test = f"regexp_matches({text}, {literal(params.matches)})"
    else:
        among = params.one_of if params.equals is None else (params.equals,)
        test = f"{text} IN ({', '.join(map(literal, among))})"
    return Value(f"coalesce({test}, false)")


def describe(params: ConditionParams) -> str:
    """The condition in a few words, for logs."""
    (test,) = params.model_fields_set - {"column"}
    return f"{params.column} {test} {getattr(params, test)!r}"


def check_texts(session: duckdb.DuckDBPyConnection, table: TableParams, where: str) -> None:
    """Whether all expressions and time formats of the mapping are ones.

    Raises:
        TriadError: one is not.
    """
    conditions = [*table.where, *table.drop, *([table.cancelled] if table.cancelled else [])]
    tries = [("SELECT regexp_matches('', {})", c.matches, "an RE2 expression") for c in conditions if c.matches]
    tries += [
        ("SELECT try_strptime('', {})", c.format, "a strptime format") for c in table.columns.values() if c.format
    ]
    for sql, text, what in tries:
        try:
            session.execute(sql.format(literal(text))).fetchall()
        except duckdb.Error as error:
            raise TriadError(f"{text!r} is not {what}: {error}", where=where, mend="correct it") from error


def _text(raw: str, params: ColumnParams) -> str:
    text = f"CAST({raw} AS VARCHAR)"
    if params.strip:
        text = f"trim({text})"
    if params.case:
        text = f"{params.case}({text})"
    for part in params.remove:
        text = f"replace({text}, {literal(part)}, '')"
    if params.remove_suffix:
        end = literal(params.remove_suffix)
        text = f"CASE WHEN suffix({text}, {end}) THEN left({text}, -{len(params.remove_suffix)}) ELSE {text} END"
    if params.map:
        cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in params.map.items())
        other = (
            text
            if params.default is None
            else f"CASE WHEN nullif({text}, '') IS NOT NULL THEN {literal(params.default)} END"
        )
        text = f"CASE {text} {cases} ELSE {other} END"
    return f"nullif({text}, '')"


def _event_kinds(cell: _Cell) -> tuple[Fault, ...]:
    known = ", ".join(map(literal, EVENT_KINDS))
    mend = "name them in `map`, or leave such rows out with `drop`"
    return (cell.fault(f"{cell.text} NOT IN ({known})", f"none of {', '.join(EVENT_KINDS)}", mend),)


def _number(column: Column, params: ColumnParams, cell: _Cell, currency: str) -> Value:
    mend = "`decimal: ','` and `remove` (signs, thousands separators) make such texts numbers"
    if params.unit == "major":
        scaled = f"round({cell.number} * {10 ** _MINOR_DIGITS.get(currency, 2)})"
        whole = f"CASE WHEN abs({scaled}) < {_EXACT} THEN CAST({scaled} AS BIGINT) END"
        return cell.convertible(whole, f"not an amount of {currency}", mend)
    if cell.kind in _WHOLE:
        return Value(f"CAST({cell.raw} AS BIGINT)")
    is_whole = f"{cell.number} = trunc({cell.number}) AND abs({cell.number}) < {_EXACT}"
    hint = "amounts with a fraction are `unit: major`; " if column.unit == "cents" else ""
    return cell.convertible(
        f"CASE WHEN {is_whole} THEN CAST({cell.number} AS BIGINT) END", "not a whole number", hint + mend
    )


def _time(column: Column, params: ColumnParams, cell: _Cell, zone: str | None) -> Value:
    mend = "say how they are written: format: '%d/%m/%Y %H:%M', or epoch: seconds"
    zoned, naive = _readings(params, cell)
    if column.kind == "date":  # a day is a day wherever it was written
        day = f"CAST(coalesce({', '.join(filter(None, (naive, zoned)))}) AS DATE)"
        return cell.convertible(day, "not a day", mend)
    made = [zoned] if zoned else []
    if naive and zone:
        made.append(f"timezone({literal(zone)}, {naive})")
    unread = " AND ".join(f"({reading}) IS NULL" for reading in (zoned, naive) if reading)
    faults = [cell.fault(f"{cell.text} IS NOT NULL AND {unread}", "not a time", mend)]
    if naive and not zone:
        hint = "set `timezone` to the zone they are meant in, e.g. UTC"
        faults.append(cell.fault(f"({naive}) IS NOT NULL", "a time without a zone", hint))
    return Value(f"coalesce({', '.join([*made, 'CAST(NULL AS TIMESTAMPTZ)'])})", tuple(faults))


def _readings(params: ColumnParams, cell: _Cell) -> tuple[str | None, str | None]:
    """SQL for the moment that a value names by itself, and for the wall clock's time that needs a zone."""
    if params.epoch:
        ticks = f"({cell.number} * {_EPOCH[params.epoch]})"
        return f"CASE WHEN abs({ticks}) < 9e18 THEN make_timestamptz(CAST({ticks} AS BIGINT)) END", None
    if cell.kind == "TIMESTAMP WITH TIME ZONE":
        return cell.raw, None
    if cell.kind.startswith("TIMESTAMP") or cell.kind == "DATE":
        return None, f"CAST({cell.raw} AS TIMESTAMP)"
    if params.format:
        parsed = f"try_strptime({cell.text}, {literal(params.format)})"
        return (parsed, None) if "%z" in params.format or "%Z" in params.format else (None, parsed)
    names_zone = f"regexp_matches({cell.text}, {literal(_ZONED)})"
    return (
        f"CASE WHEN {names_zone} THEN TRY_CAST({cell.text} AS TIMESTAMPTZ) END",
        f"CASE WHEN NOT {names_zone} THEN TRY_CAST({cell.text} AS TIMESTAMP) END",
    )
