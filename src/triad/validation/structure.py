"""Checks files, columns and types of the tables, from the Parquet footers only."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from triad.schema import REQUIRED, TABLES, Table
from triad.tables import arrow_schema, same_in_sql
from triad.validation.checks import Check


def check_structure(folder: Path) -> list[Check]:
    """One check a table that lies in `folder`, or should: its files open, its columns and types are the contract's.

    The critical ones that fail make every further question meaningless.
    """
    if not folder.is_dir():
        return [_check(REQUIRED[0], None, f"no folder {folder}: run `triad ingest` first", 1)]
    checks = []
    for name, table in TABLES.items():
        if (folder / name).is_dir():
            checks += _check_table(folder / name, table)
        elif name in REQUIRED:
            checks.append(_check(name, None, f"no folder {folder / name}: the source does not give this table", 1))
    return checks


def _check_table(folder: Path, table: Table) -> list[Check]:
    files = sorted(folder.rglob("*.parquet"))
    schemas, rows, damaged = {}, 0, []
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                schemas[file] = parquet.schema_arrow
                rows += parquet.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            damaged.append({"file": str(file), "error": str(error).splitlines()[0]})
    if damaged:
        message = "files are no whole Parquet (truncated?): ingest again"
        return [_check(table.name, None, message, len(damaged), damaged)]
    faults = [_check(table.name, column, message, len(at), at) for (column, message), at in _faults(table, schemas)]
    if not faults and not rows:
        faults = [_check(table.name, None, "holds no rows", 0)]
    return faults or [Check("structure", table.name, None, "critical", True, f"{len(files)} files, {rows:,} rows")]


def _faults(table: Table, schemas: dict[Path, pa.Schema]) -> list[tuple[tuple[str, str], list[dict[str, str]]]]:
    """Each differing column and what is wrong with it → the files that show it."""
    faults: dict[tuple[str, str], list[dict[str, str]]] = {}
    for file, schema in schemas.items():
        for field in arrow_schema(table):
            kind = table.column(field.name).type
            if field.name not in schema.names:
                fault = f"column is missing; found {schema.names}"
            elif not _same(schema.field(field.name).type, field.type):
                fault = f"expected {kind} ({field.type}), found {schema.field(field.name).type}"
            else:
                continue
            faults.setdefault((field.name, fault), []).append({"file": str(file)})
        if twins := same_in_sql(schema.names):
            fault = f"SQL takes {twins[0]!r} and {twins[1]!r} for one column: rename one of them"
            faults.setdefault((twins[1], fault), []).append({"file": str(file)})
        for extra in [] if table.open else sorted(set(schema.names) - set(table.names)):
            fault = f"column is unknown; known are {list(table.names)}"
            faults.setdefault((extra, fault), []).append({"file": str(file)})
    return sorted(faults.items())


def _same(actual: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(actual):
        actual = actual.value_type
    return actual == wanted or (pa.types.is_large_string(actual) and pa.types.is_string(wanted))


def _check(
    table: str, column: str | None, message: str, unexpected: int, samples: list[dict[str, str]] | None = None
) -> Check:
    return Check("structure", table, column, "critical", False, message, unexpected, tuple((samples or [])[:5]))
