"""SQL that selects the rows an expectation did not expect.

Great Expectations counts them exactly and shows a few values; to mend them a person needs the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triad.schema import TABLES


def unexpected_rows(table: str, expectation: Mapping[str, Any], window: Mapping[str, str]) -> str | None:
    """A query for the unexpected rows' keys and values; None where it is not about rows, or not known here."""
    arguments = {name: _bound(value, window) for name, value in expectation["kwargs"].items()}
    if expectation["type"] == "unexpected_rows_expectation":
        return str(arguments["unexpected_rows_query"]).replace("{batch}", table)
    if expectation["type"] == "expect_compound_columns_to_be_unique":
        named = ", ".join(_name(column) for column in arguments["column_list"])
        return f"SELECT {named}, count(*) AS times FROM {table} GROUP BY {named} HAVING count(*) > 1"
    if "column" not in arguments:
        return None
    column = _name(arguments["column"])
    if expectation["type"] == "expect_column_values_to_be_unique":
        return f"SELECT {column}, count(*) AS times FROM {table} GROUP BY {column} HAVING count(*) > 1"
    condition = _condition(expectation["type"], column, arguments)
    if condition is None:
        return None
    shown = dict.fromkeys([*(_name(key) for key in TABLES[table].key), column])
    return f"SELECT {', '.join(shown)} FROM {table} WHERE {condition}"


def _condition(kind: str, column: str, arguments: Mapping[str, Any]) -> str | None:
    """When a value of `column` is unexpected."""
    values = ", ".join(map(_literal, arguments.get("value_set", [])))
    match kind.removeprefix("expect_column_"):
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


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
