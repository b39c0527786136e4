"""The Great Expectations suites in `expectations/`: one JSON file per contract table.

The files are the truth: a shop's people edit them. `python -m triad.validation.suites` makes those of tables that
have none yet, from the column dictionary; it never touches one that is there.

An expectation may use the parameters `since` and `until` (the window's ends as times), `first_day` and `last_day` (as
days). An SQL expectation may name any table that is present, and `run_window`, one row with those four as columns.

Rows that fail a critical check of single rows are set aside (`quarantine.py`). Great Expectations' checks of a column's
values are such checks, and so is an SQL expectation with `"meta": {"row": true}`, whose query begins `SELECT * FROM
{batch}`. `"row": false` makes any check strict.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from triad.errors import TriadError
from triad.schema import EVENT_KINDS, TABLES, Column, Table
from triad.validation.checks import Severity

EXPECTATIONS = Path("expectations")

ABSURD_CENTS = 100_000_000
"""A million of the currency's units for one piece."""

Expectation = dict[str, Any]
Suite = dict[str, Any]

_TYPES = {
    "string": ["String", "VARCHAR"],
    "int64": ["BIGINT", "BigInteger"],
    "float64": ["DOUBLE", "Float", "Double"],
    "bool": ["BOOLEAN", "Boolean"],
    "timestamp": ["TIMESTAMP"],
    "date": ["DATE", "Date"],
}
_RANGES: dict[str, tuple[int, int, Severity]] = {
    "price_cents": (1, ABSURD_CENTS, "critical"),
    "quantity": (1, 1_000_000, "critical"),
    "position": (1, 100_000, "critical"),
    "relevance": (0, 3, "critical"),
}
_FOREIGN = {  # column → the table that must know it, for every table but that one
    "user_id": "users",
    "item_id": "items",
}
_TEXT = ("title", "description", "query", "message", "reply")
_TIMES: dict[tuple[str, str], dict[str, Any]] = {
    ("events", "occurred_at"): {"min_value": "since", "max_value": "until", "strict_max": True},
    ("users", "signed_up_at"): {"max_value": "until", "strict_max": True},
    ("prices", "day"): {"max_value": "last_day"},
}

_REPLACEMENT = "url_decode('%EF%BF%BD')"
"""U+FFFD, in words that DuckDB and Spark read alike."""

_NESTED = "json_each(CASE WHEN json_valid(attributes) THEN attributes ELSE '[]' END)"
_NO_ATTRIBUTES = (
    "SELECT * FROM {batch} WHERE trim(attributes) <> '' AND (NOT json_valid(attributes) "
    "OR json_type(CASE WHEN json_valid(attributes) THEN attributes END) <> 'OBJECT' "
    f"OR EXISTS (SELECT 1 FROM {_NESTED} AS v WHERE v.type = 'OBJECT' OR (v.type = 'ARRAY' "
    "AND EXISTS (SELECT 1 FROM json_each(v.value) AS w WHERE w.type IN ('ARRAY', 'OBJECT')))))"
)
"""Products whose attributes `products.attributes.read` would refuse."""


def load(name: str, folder: Path = EXPECTATIONS) -> Suite:
    """The suite of table `name`, as plain values.

    Raises:
        TriadError: the file is missing, is no JSON, is another table's, or an expectation has no type or severity.
    """
    path = folder / f"{name}.json"
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        mend = "restore it, or make a new one: python -m triad.validation.suites"
        raise TriadError("no such suite", where=str(path), mend=mend) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TriadError(f"not readable as JSON: {error}", where=str(path), mend="correct the syntax") from error
    if not isinstance(suite, dict) or suite.get("name") != name or not isinstance(suite.get("expectations"), list):
        mend = "see the suites the project ships"
        raise TriadError(f"expected a suite with name {name!r} and a list `expectations`", where=str(path), mend=mend)
    for place, expectation in enumerate(suite["expectations"]):
        where = f"{path}: expectations[{place}]"
        if not isinstance(expectation, dict) or not isinstance(expectation.get("type"), str):
            raise TriadError("has no `type`", where=where, mend="name an expectation of Great Expectations")
        if expectation.get("severity") not in ("critical", "warning", "info"):
            severity = expectation.get("severity")
            mend = "write critical (stops the run), warning or info"
            raise TriadError(f"unknown severity {severity!r}", where=where, mend=mend)
    return suite


def make(table: Table) -> Suite:
    """A first suite of `table`, drawn from its columns: types, nulls, keys, ranges, times, references."""
    expectations = [
        _expect("expect_table_row_count_to_be_between", "critical", min_value=1),
        _expect(
            "expect_table_columns_to_match_set", "critical", column_set=list(table.names), exact_match=not table.open
        ),
    ]
    for column in table.columns:
        expectations += _of_column(table, column)
    if len(table.key) == 1:
        expectations.append(_expect("expect_column_values_to_be_unique", "critical", column=table.key[0]))
    else:
        expectations.append(_expect("expect_compound_columns_to_be_unique", "critical", column_list=list(table.key)))
    return {"name": table.name, "expectations": [*expectations, *_across(table)]}


def write_missing(folder: Path = EXPECTATIONS) -> list[Path]:
    """Write `make`'s suite for every contract table without a file in `folder`; returns the new files."""
    missing = {folder / f"{name}.json": table for name, table in TABLES.items()}
    missing = {path: table for path, table in missing.items() if not path.exists()}
    for path, table in missing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make(table), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return list(missing)


def _of_column(table: Table, column: Column) -> list[Expectation]:
    name = column.name
    expectations = [
        _expect("expect_column_values_to_be_in_type_list", "critical", column=name, type_list=_TYPES[column.type])
    ]
    if not column.nullable:
        expectations.append(_expect("expect_column_values_to_not_be_null", "critical", column=name))
    if column.type == "string":
        severity: Severity = "warning" if column.nullable else "critical"
        expectations.append(_expect("expect_column_value_lengths_to_be_between", severity, column=name, min_value=1))
    if name in _TEXT:
        query = f"SELECT * FROM {{batch}} WHERE contains({name}, {_REPLACEMENT})"
        expectations.append(
            _rows("warning", name, f"{name} was read in its own encoding: no replacement characters", query)
        )
    if name == "attributes":
        wrong = _rows("critical", name, "attributes are a JSON object of names and texts or numbers", _NO_ATTRIBUTES)
        wrong["meta"]["row"] = True
        expectations.append(wrong)
    if name in _RANGES:
        low, high, severity = _RANGES[name]
        bounds = {"column": name, "min_value": low, "max_value": high}
        expectations.append(_expect("expect_column_values_to_be_between", severity, **bounds))
    if (table.name, name) in _TIMES:
        limits = {k: {"$PARAMETER": v} if isinstance(v, str) else v for k, v in _TIMES[table.name, name].items()}
        expectations.append(_expect("expect_column_values_to_be_between", "critical", column=name, **limits))
    if name == "kind":
        expectations.append(
            _expect("expect_column_values_to_be_in_set", "critical", column=name, value_set=list(EVENT_KINDS))
        )
    home = _FOREIGN.get(name)
    if home not in (None, table.name):
        # NOT IN a list that holds a null is never true
        known = f"SELECT {name} FROM {home} WHERE {name} IS NOT NULL"
        reference = _rows(
            "critical",
            name,
            f"every {name} stands in table {home}",
            f"SELECT * FROM {{batch}} WHERE {name} NOT IN ({known})",
        )
        reference["meta"]["row"] = True
        expectations.append(reference)
    return expectations


def _across(table: Table) -> list[Expectation]:
    """Questions that no single column answers."""
    if table.name != "events":
        return []
    minima = ", ".join(f"min(occurred_at) FILTER (WHERE kind = '{kind}') AS {kind}_at" for kind in EVENT_KINDS)
    steps = (
        f"SELECT user_id, item_id, session_id, {minima} FROM {{batch}} "
        "WHERE session_id IS NOT NULL GROUP BY user_id, item_id, session_id"
    )
    early = (
        "SELECT event_id, kind, occurred_at, {since} FROM {{batch}} "
        "JOIN (SELECT {key}, {since} FROM {home}) USING ({key}) WHERE occurred_at < {since}"
    )
    return [
        _rows(
            "critical",
            "occurred_at",
            "no exposure sees its own click: in a visit an item is shown before it is clicked (but for 1 in 1,000)",
            f"WITH steps AS ({steps} HAVING click_at IS NOT NULL AND impression_at IS NOT NULL) "
            "SELECT * FROM steps WHERE click_at <= impression_at "
            "AND (SELECT avg((click_at <= impression_at)::INT) FROM steps) > 0.001",
        ),
        _rows(
            "warning",
            "occurred_at",
            "the funnel's order holds: in a visit an item is shown, clicked, carted, purchased, in this order",
            f"{steps} HAVING click_at <= impression_at OR cart_at < click_at "
            "OR purchase_at < greatest(click_at, cart_at)",
        ),
        _rows(
            "warning",
            "user_id",
            "nobody acts before signing up",
            early.format(since="signed_up_at", home="users", key="user_id"),
        ),
        _rows(
            "warning",
            "item_id",
            "nothing happens to an item before it is available",
            early.format(since="available_from", home="items", key="item_id"),
        ),
    ]


def _expect(kind: str, severity: Severity, **arguments: Any) -> Expectation:
    return {"type": kind, "severity": severity, "kwargs": arguments}


def _rows(severity: Severity, column: str, description: str, query: str) -> Expectation:
    """Rows that `query` returns are unexpected; `meta.column` says which column they are about."""
    expectation = _expect("unexpected_rows_expectation", severity, unexpected_rows_query=query)
    return {**expectation, "description": description, "meta": {"column": column}}


if __name__ == "__main__":
    for path in write_missing():
        print(path)  # noqa: T201
