"""SQL that selects the rows that fail an expectation.

Great Expectations counts them exactly and shows a few values. To mend them a person needs their keys; to set them
aside the stage needs the file and the row where each lies, for a key may be missing or stand twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triad.schema import TABLES

FILE, ROW = "triad_file", "file_row_number"
"""Columns of `numbered` that say where a row lies: the Parquet file, and the row in it from 0."""

_BOUNDS = {"min_value", "max_value", "strict_min", "strict_max"}
_ARGUMENTS = {  # checks of single rows, and the arguments whose meaning is known here
    "expect_column_values_to_not_be_null": set(),
    "expect_column_values_to_be_null": set(),
    "expect_column_values_to_be_between": _BOUNDS,
    "expect_column_value_lengths_to_be_between": _BOUNDS,
    "expect_column_values_to_be_in_set": {"value_set"},
    "expect_column_values_to_not_be_in_set": {"value_set"},
    "expect_column_values_to_be_unique": set(),
    "expect_compound_columns_to_be_unique": set(),
}


def numbered(table: str) -> str:
    """Name of the view of `table` that has `FILE` and `ROW` too."""
    return f"numbered_{table}"


def places(table: str, condition: str) -> str:
    """A query for `FILE` and `ROW` of the rows of `table` that meet `condition`."""
    return f"SELECT {FILE}, {ROW} FROM {numbered(table)} WHERE {condition}"


def rows_of(table: str, expectation: Mapping[str, Any], window: Mapping[str, str]) -> str | None:
    """A query for `FILE` and `ROW` of the rows to set aside; None where `expectation` is no row's check.

    Of rows that are the same in every column one stays; of rows that share a key and differ none does, for nothing
    tells which is right.
    """
    type_, meta = expectation["type"], expectation.get("meta") or {}
    arguments = {name: _bound(value, window) for name, value in expectation["kwargs"].items()}
    if meta.get("row") is False:
        return None
    if type_ == "unexpected_rows_expectation":
        query = str(arguments["unexpected_rows_query"]).replace("{batch}", numbered(table))
        return f"SELECT {FILE}, {ROW} FROM ({query})" if meta.get("row") else None
    # an argument such as `mostly` is a limit of the shop's own, which stays as it was
    if type_ not in _ARGUMENTS or set(arguments) - _ARGUMENTS[type_] - {"column", "column_list"}:
        return None
    if "unique" in type_:
        return _repeated(table, arguments.get("column_list") or [arguments["column"]])
    condition = _condition(type_, quoted(arguments["column"]), arguments)
    return None if condition is None else places(table, condition)


def _repeated(table: str, columns: Sequence[str]) -> str:
    key = ", ".join(map(quoted, columns))
    complete = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in columns)
    return (
        f"SELECT {FILE}, {ROW} FROM ("
        f"SELECT *, count(*) OVER (PARTITION BY {key}) AS times, count(*) OVER same AS copies, "
        f"row_number() OVER (same ORDER BY {FILE}, {ROW}) AS copy FROM ("
        f"SELECT {key}, {FILE}, {ROW}, hash(*COLUMNS(* EXCLUDE ({FILE}, {ROW}))) AS content "
        f"FROM {numbered(table)} WHERE {complete}) WINDOW same AS (PARTITION BY {key}, content)"
        ") WHERE times > 1 AND NOT (copies = times AND copy = 1)"
    )


def unexpected_rows(table: str, expectation: Mapping[str, Any], window: Mapping[str, str]) -> str | None:
    """A query for the unexpected rows' keys and values; None where it is not about rows, or not known here."""
    arguments = {name: _bound(value, window) for name, value in expectation["kwargs"].items()}
    if expectation["type"] == "unexpected_rows_expectation":
        return str(arguments["unexpected_rows_query"]).replace("{batch}", table)
    if expectation["type"] == "expect_compound_columns_to_be_unique":
        named = ", ".join(quoted(column) for column in arguments["column_list"])
        return f"SELECT {named}, count(*) AS times FROM {table} GROUP BY {named} HAVING count(*) > 1"
    if "column" not in arguments:
        return None
    column = quoted(arguments["column"])
    if expectation["type"] == "expect_column_values_to_be_unique":
        return f"SELECT {column}, count(*) AS times FROM {table} GROUP BY {column} HAVING count(*) > 1"
    condition = _condition(expectation["type"], column, arguments)
    if condition is None:
        return None
    shown = dict.fromkeys([*(quoted(key) for key in TABLES[table].key), column])
    return f"SELECT {', '.join(shown)} FROM {table} WHERE {condition}"


def _condition(type_: str, column: str, arguments: Mapping[str, Any]) -> str | None:
    """When a value of `column` is unexpected."""
    values = ", ".join(map(_literal, arguments.get("value_set", [])))
    match type_.removeprefix("expect_column_"):
        case "values_to_not_be_null":
            condition = f"{column} IS NULL"
        case "values_to_be_null":
            condition = f"{column} IS NOT NULL"
        case "values_to_be_between":
            condition = _outside(column, arguments)
        case "value_lengths_to_be_between":
            condition = _outside(f"length({column})", arguments)
        case "values_to_be_in_set":
            condition = f"{column} NOT IN ({values})"
        case "values_to_not_be_in_set":
            condition = f"{column} IN ({values})"
        case _:
            return None
    return condition


def _outside(value: str, arguments: Mapping[str, Any]) -> str:
    sides = []
    if (low := arguments.get("min_value")) is not None:
        sides.append(f"{value} {'<=' if arguments.get('strict_min') else '<'} {_literal(low)}")
    if (high := arguments.get("max_value")) is not None:
        sides.append(f"{value} {'>=' if arguments.get('strict_max') else '>'} {_literal(high)}")
    return " OR ".join(sides) or "false"


def _bound(value: Any, window: Mapping[str, str]) -> Any:
    if isinstance(value, dict) and "$PARAMETER" in value:
        return window.get(value["$PARAMETER"])
    return value


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, (bool, int, float)) else "'" + str(value).replace("'", "''") + "'"


def quoted(column: str) -> str:
    """`column` as SQL names it."""
    return '"' + column.replace('"', '""') + '"'
