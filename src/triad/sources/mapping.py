"""From a column mapping to SQL: an expression over source columns for each contract column, and its possible faults.

A conversion that fails gives NULL, and its `Fault` gives the text it failed on, so that one pass over the file yields
both the table and a report of all bad values. Texts of the mapping enter the SQL only quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb

from triad import canonical
from triad.config.files import TableParams
from triad.config.mapping import OFFSET, ColumnParams, ConditionParams
from triad.errors import TriadError
from triad.schema import EVENT_KINDS, Column
from triad.sources.base import ROW
from triad.sources.cells import BLANK, CONSTANT, Cell, Fault, Value, literal, quote
from triad.sources.numbers import amount, grouping, number, whole
from triad.sources.times import moment

_NO_IDS = (
    *(
        "nan",
        "nat",
        "na",
        "n/a",
        "<na>",
        "none",
        "null",
        "(null)",
        "<null>",
        "nil",
        "\\n",
        "undefined",
        "[object object]",
    ),
    *("#n/a", "#ref!", "#name?", "#value!", "#null!", "#num!", "#div/0!"),
)
"""What programs write for a missing value, in any case: as an id, one customer made of all that have none."""

_SHORTENED = r"[+-]?\d([.,]\d+)?[eE]\+\d+"
"""What spreadsheets make of long numbers: 1.23457E+11. The last digits are lost."""


def sources(params: ColumnParams) -> tuple[str, ...]:
    """The source columns that a contract column is made of."""
    made_of = (params.column,) if params.column else params.key
    return made_of if params.per is None else (*made_of, params.per)


def value(column: Column, params: ColumnParams, table: TableParams, types: Mapping[str, str], currency: str) -> Value:
    """A contract column as SQL over source columns of the DuckDB `types`; amounts are of `currency` (ISO 4217)."""
    if params.row_number:
        return Value(f"lpad(CAST({quote(ROW)} AS VARCHAR), 12, '0')")
    made = _key(params, table, types) if params.key else _single(column, params, table, types, currency)
    if column.nullable or params.constant is not None:
        return made
    source = params.column or " + ".join(params.key)
    mend = f"leave such rows out: where: [{{column: {sources(params)[0]}, present: true}}]"
    missing = f"({made.sql})" if params.key else _cell(params, table, types).text
    return Value(made.sql, (*made.faults, Fault(source, "empty", mend, f"CASE WHEN {missing} IS NULL THEN '' END")))


def _single(column: Column, params: ColumnParams, table: TableParams, types: Mapping[str, str], currency: str) -> Value:
    cell = _cell(params, table, types)
    if column.type == "string":
        faults = _event_kinds(cell) if column.name == "kind" else ()
        if is_id := column.name.endswith("_id"):
            faults += (_controls(cell),)
        # a path that begins with what parts it would have no broad category
        text = f"nullif(trim({cell.text}, '/'), '')" if column.name == "category" else cell.text
        return Value(text, (*faults, *_texts(cell, is_id=is_id)))
    if column.type == "bool":
        mend = "name them in `map`"
        return cell.convertible(f"TRY_CAST({cell.text} AS BOOLEAN)", "neither true nor false", mend)
    if column.type in ("timestamp", "date"):
        return moment(column, params, cell)
    made = amount(cell, currency, rounds=params.round) if params.unit == "major" else whole(column, cell)
    return made if params.per is None else _of_one(made, _cell(ColumnParams(column=params.per), table, types))


def _of_one(total: Value, quantity: Cell) -> Value:
    """The price of one, from the total of a line and how many it holds."""
    times = quantity.convertible(number(quantity), "not a number", "correct it", *grouping(quantity))
    is_bad = f"{total.sql} IS NOT NULL AND NOT coalesce({times.sql} > 0, false)"
    none = Fault(
        quantity.source,
        "no quantity above 0 to divide a total by",
        f"leave such rows out: where: [{{column: {quantity.source}, above: 0}}]",
        f"CASE WHEN {is_bad} THEN coalesce({quantity.text}, '') END",
    )
    price = f"CASE WHEN {times.sql} > 0 THEN CAST(round({total.sql} / {times.sql}) AS BIGINT) END"
    return Value(price, (*total.faults, *times.faults, none))


def _cell(params: ColumnParams, table: TableParams, types: Mapping[str, str]) -> Cell:
    if not params.column:
        raw = literal(str(params.constant))
        return Cell(CONSTANT, "VARCHAR", raw, _changed(raw, params), table)
    text = _plain(params.column, table, types)
    return Cell(params.column, types[params.column], quote(params.column), _changed(text, params), table)


def _plain(source: str, table: TableParams, types: Mapping[str, str]) -> str:
    """SQL for a source column's text; NULL where it is one of `null_values`, which the reader of CSV heeds already."""
    text = canonical.text(quote(source), types[source])
    missing = ", ".join(literal(each) for each in table.null_values if each)
    return f"CASE WHEN {text} NOT IN ({missing}) THEN {text} END" if missing else text


def _key(params: ColumnParams, table: TableParams, types: Mapping[str, str]) -> Value:
    """Parts joined by ':', which is escaped in all but the last, so that no two lists of parts make one id."""
    cells = [_cell(ColumnParams(column=name), table, types) for name in params.key]
    *heads, last = (cell.text for cell in cells)
    escaped = [rf"replace(replace({text}, '\', '\\'), ':', '\:')" for text in heads]
    return Value(" || ':' || ".join([*escaped, last]), tuple(f for c in cells for f in _texts(c, is_id=True)))


def _texts(cell: Cell, *, is_id: bool) -> tuple[Fault, ...]:
    """What a number or a word cannot stand for as a text, or as an id."""
    if not is_id:
        return _infinite(cell)
    mend = "if it means missing, name it in null_values; if it is an id, give it another in `map`"
    word = f"lower(trim({cell.text})) IN ({', '.join(map(literal, _NO_IDS))})"
    faults = [
        cell.fault(word, "a program's word for missing", mend),
        cell.fault(
            f"regexp_full_match({cell.text}, {literal(_SHORTENED)})",
            "a number that lost its last digits",
            "export the column as text; a spreadsheet shortens long numbers",
        ),
    ]
    if bad := canonical.unclear(cell.raw, cell.type):
        return (cell.fault(bad, canonical.UNCLEAR, canonical.MEND_UNCLEAR), *faults)
    return tuple(faults)


def _controls(cell: Cell) -> Fault:
    mend = "`strip: true` takes blanks off its ends, `remove` others out; bytes are to be written as text"
    return cell.fault(f"regexp_matches({cell.text}, '[\\x00-\\x1f\\x7f]')", "control characters in an id", mend)


def _infinite(cell: Cell) -> tuple[Fault, ...]:
    if cell.type not in ("FLOAT", "DOUBLE"):
        return ()
    return (cell.fault(f"isinf({cell.raw})", "infinite", "leave it empty"),)


def condition(params: ConditionParams, table: TableParams, types: Mapping[str, str]) -> Value:
    """A condition as SQL that is true or false, never NULL."""
    text = f"nullif({_plain(params.column, table, types)}, '')"
    if params.present is not None:
        return Value(f"({text} IS {'NOT ' if params.present else ''}NULL)")
    if params.above is not None or params.below is not None:
        cell = Cell(params.column, types[params.column], quote(params.column), text, table)
        test = f"> {params.above!r}" if params.above is not None else f"< {params.below!r}"
        mend = "correct them, or compare another column"
        made = cell.convertible(number(cell), "not a number", mend, *grouping(cell))
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
    """Whether all expressions, time formats and zones of the mapping are ones: Python may know other zones than DuckDB.

    Raises:
        TriadError: one is not.
    """
    conditions = [*table.where, *table.drop, *([table.cancelled] if table.cancelled else [])]
    tries = [("SELECT regexp_matches('', {})", c.matches, "an RE2 expression") for c in conditions if c.matches]
    tries += [
        ("SELECT try_strptime('', {})", c.format, "a strptime format") for c in table.columns.values() if c.format
    ]
    zones = [table.timezone, *(c.timezone for c in table.columns.values())]
    zones += [zone for zone in table.zones.values() if not re.fullmatch(OFFSET, zone)]
    tries += [("SELECT timezone({}, TIMESTAMP '2000-01-01')", z, "a time zone by its IANA name") for z in zones if z]
    for column in table.columns.values():
        if "%Z" in (column.format or "")[:-2]:
            mend = "write times with the zone last, or without it under `timezone`"
            raise TriadError(f"the format {column.format!r} must end with its zone", where=where, mend=mend)
    for sql, text, what in tries:
        try:
            session.execute(sql.format(literal(text))).fetchall()
        except duckdb.Error as error:
            raise TriadError(f"{text!r} is not {what}: {error}", where=where, mend="correct it") from error


def _changed(text: str, params: ColumnParams) -> str:
    if params.strip:
        text = f"regexp_replace({text}, '^[{BLANK}]+|[{BLANK}]+$', '', 'g')"
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


def _event_kinds(cell: Cell) -> tuple[Fault, ...]:
    known = ", ".join(map(literal, EVENT_KINDS))
    mend = "name them in `map`, or leave such rows out with `drop`"
    return (cell.fault(f"{cell.text} NOT IN ({known})", f"none of {', '.join(EVENT_KINDS)}", mend),)
