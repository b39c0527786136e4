"""From a table's mapping to one query over the pieces of its source: columns, rules, and what can be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from triad.config.files import FilesParams, TableParams
from triad.schema import TABLES, Column
from triad.sources.base import ROW
from triad.sources.cells import Fault, Value, quote
from triad.sources.mapping import condition, describe, value


@dataclass(frozen=True)
class Plan:
    """How one file's columns become a table in DuckDB."""

    columns: dict[str, Value]
    rules: tuple[tuple[str, str], ...]  # (said in logs, SQL that is true where the row goes)
    rule_faults: tuple[Fault, ...]
    cancelled: str

    @property
    def faults(self) -> dict[str, tuple[str, Fault]]:
        """Every fault with the contract column it concerns (empty for a rule's), under the name of a column for it."""
        every = [("", f) for f in self.rule_faults] + [(n, f) for n, v in self.columns.items() for f in v.faults]
        return {f"fault: {fault.source} {column} {fault.what}": (column, fault) for column, fault in every}

    def select(self, source: str) -> str:
        """The query that makes the table's rows: its columns, `rule` (the first that drops a row), faults beside."""
        cases = " ".join(f"WHEN {sql} THEN {number}" for number, (_, sql) in enumerate(self.rules))
        parts = [f"{quote(ROW)} AS {quote(ROW)}", f"{self.cancelled} AS is_cancellation"]
        parts.append(f"CAST(CASE WHEN {self.cancelled} THEN NULL {cases} END AS UTINYINT) AS rule")
        parts += [f"{made.sql} AS {quote(name)}" for name, made in self.columns.items()]
        parts += [f"{fault.sql} AS {quote(name)}" for name, (_, fault) in self.faults.items()]
        return f"SELECT {', '.join(parts)} FROM {source}"


def needed(name: str, files: FilesParams) -> list[str]:
    """The source columns that table `name` and what is derived from it are made of."""
    derived = [table for table in files.tables.values() if table.from_] if name == "events" else []
    return list(dict.fromkeys(n for table in (files.tables[name], *derived) for n in table.sources))


def planned(name: str, files: FilesParams, types: Mapping[str, str], currency: str) -> Plan:
    contract, table = TABLES[name], files.tables[name]

    def made(column: Column, params: TableParams) -> Value:
        return value(column, params.columns[column.name], table, types, currency)

    columns = {n: made(column_of(name, n), table) for n in table.columns}
    if name == "events":
        for other, params in files.tables.items():
            if params.from_:
                columns |= {f"{other}.{n}": made(column_of(other, n), params) for n in params.columns}
    keep = [condition(c, table, types) for c in table.where]
    drop = [condition(c, table, types) for c in table.drop]
    rules = [(f"not {describe(c)}", f"NOT {v.sql}") for c, v in zip(table.where, keep, strict=True)]
    rules += [(describe(c), v.sql) for c, v in zip(table.drop, drop, strict=True)]
    if name == "events":
        rules.append(("no user", f"{columns['user_id'].sql} IS NULL"))
    if files.sample_users < 1 and "user_id" in contract.names:
        # salted, for the folds of features are cut by md5 of the bare id
        share = f"('0x' || md5('sample ' || {columns['user_id'].sql})[1:8])::UBIGINT / {2**32}"
        rules.append(("outside of sample_users", f"{share} >= {files.sample_users!r}"))
    cancelled = condition(table.cancelled, table, types).sql if table.cancelled else "false"
    return Plan(columns, tuple(rules), tuple(f for v in (*keep, *drop) for f in v.faults), cancelled)


def column_of(table: str, name: str) -> Column:
    """The contract's column, or an attribute that the shop declares."""
    contract = TABLES[table]
    if name not in contract.names:
        return Column(name, "string", "attribute", nullable=True, personal=True)
    column = contract.column(name)  # events without a user are dropped by rule
    return replace(column, nullable=True) if (table, name) == ("events", "user_id") else column
