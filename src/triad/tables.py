"""The contract's tables as a folder of Parquet: one writer and one reader for all stages.

A table with a time lies in `<folder>/<table>/day=YYYY-MM-DD/part-0.parquet`, any other in
`<folder>/<table>/part-0.parquet`. Queries go through DuckDB views of the same names, so no stage holds a whole log.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.canonical import settled, texts
from triad.errors import TriadError
from triad.paths import parquet_below, pattern, sql_text
from triad.redaction import masked
from triad.schema import TABLES, Column, Table

if TYPE_CHECKING:
    import duckdb

PSEUDONYMS = "pseudonyms.json"
"""Beside the tables whose ids are pseudonyms: the check value of their key."""

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}


def key_check(folder: Path) -> str | None:
    """The check value of the key under which the ids of a folder of tables are pseudonyms; None where they are bare."""
    record = folder / PSEUDONYMS
    return str(json.loads(record.read_text())["key_check"]) if record.is_file() else None


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a contract table, without a shop's own attributes."""
    return pa.schema([pa.field(c.name, _ARROW[c.type], nullable=c.nullable) for c in table.columns])


def conform(name: str, data: pa.Table) -> pa.Table:
    """`data` with the contract's columns in the contract's order and types, a shop's own attributes after them.

    Columns that may be null and are absent are added as nulls.

    Raises:
        TriadError: a needed column is missing, a column is unknown or stands there twice, or a value does not fit its
            type.
    """
    table = TABLES[name]
    if twins := same_in_sql(data.column_names):
        mend = "rename one of them"
        raise TriadError(f"SQL takes {twins[0]!r} and {twins[1]!r} for one column", where=f"table {name}", mend=mend)
    extra = [c for c in data.column_names if c not in table.names]
    if extra and not table.open:
        raise TriadError(f"unknown columns {extra}", where=f"table {name}", mend=f"known are {list(table.names)}")
    data = settled(data, f"table {name}")
    columns, fields = [], []
    for column in table.columns:
        kind = _ARROW[column.type]
        if column.name in data.column_names:
            values = _typed(column, data[column.name], f"table {name}, column {column.name}")
        elif column.nullable:
            values = pa.nulls(data.num_rows, kind)
        else:
            raise TriadError(
                f"column is missing; found {data.column_names}",
                where=f"table {name}, column {column.name}",
                mend="add it to the source or name it in the column mapping",
            )
        columns.append(values)
        fields.append(pa.field(column.name, kind))
    for attribute in extra:
        columns.append(texts(data[attribute], f"table {name}, column {attribute}"))
        fields.append(pa.field(attribute, pa.string()))
    return pa.table(columns, schema=pa.schema(fields))


def same_in_sql(names: Sequence[str]) -> tuple[str, str] | None:
    """Two names that differ by capitals at most, which DuckDB takes for one column: either would read the first."""
    known: dict[str, str] = {}
    for each in names:
        if each.lower() in known:
            return known[each.lower()], each
        known[each.lower()] = each
    return None


def _typed(column: Column, values: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    if column.type == "string":
        return texts(values, where, ids=column.name.endswith("_id"))
    try:
        return values.cast(_ARROW[column.type])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        mend = "convert it in the source or in the column mapping"
        raise TriadError(
            f"expected {column.type}, found {values.type}: {masked(str(error))}", where=where, mend=mend
        ) from error


def write_table(folder: Path, name: str, data: pa.Table) -> int:
    """Write one table whole (see the module's text for the layout); returns its rows. Parts replace nothing."""
    data = conform(name, data)
    table = TABLES[name]
    root = folder / name
    if table.day_of is None:
        _write_part(root, data)
        return data.num_rows
    days = data[table.day_of].cast(pa.date32()) if table.day_of != "day" else data["day"]
    order = pc.sort_indices(pa.table({"day": days}), sort_keys=[("day", "ascending")])
    data, days = data.take(order), days.take(order)
    numbers = days.cast(pa.int32()).to_numpy()
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]]) if len(numbers) else np.array([], int)
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        day = days[int(start)].as_py().isoformat()
        _write_part(root / f"day={day}", data.slice(start, stop - start))
    return data.num_rows


def _write_part(folder: Path, data: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, folder / "part-0.parquet", compression="zstd")


def quote(name: str) -> str:
    """`name` as an SQL identifier, whatever a shop calls its attributes."""
    return '"' + name.replace('"', '""') + '"'


def present(folder: Path) -> tuple[str, ...]:
    """The contract tables that lie in `folder`, in the contract's order."""
    return tuple(name for name in TABLES if any((folder / name).rglob("*.parquet")))


def scan(tables: Path, name: str, more: str = "") -> str:
    """SQL that reads table `name` in the folder `tables`; `more` are further arguments of DuckDB's reader."""
    return f"read_parquet({parquet_below(tables / name)}, hive_partitioning = false, union_by_name = true{more})"


def connect(
    tables: Path | Mapping[str, pa.Table], *, threads: int = 0, also: Sequence[Path] = (), file: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A DuckDB session in UTC with one view a table, on a folder of Parquet or on Arrow tables in memory.

    `threads=0` leaves the count to DuckDB. Close it after use. Whatever its SQL names, it opens no other file than
    those and what lies below the folders `also`. What it makes lies in the new `file`, packed, or else in memory.
    """
    import duckdb  # whoever asks for no more than names of tables does not wait for it

    session = duckdb.connect(str(file or ":memory:"))
    session.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '3GB'")
    if threads:
        session.execute(f"SET threads = {threads}")
    if isinstance(tables, Path):
        for name in present(tables):
            if (brought := _brought(tables / name, name)) is None:
                session.execute(f"CREATE VIEW {name} AS SELECT * FROM {scan(tables, name)}")
            else:
                session.register(name, brought)
    else:
        for name, data in tables.items():
            session.register(name, conform(name, data))
    confine(session, *([tables] if isinstance(tables, Path) else []), *also)
    return session


SPILL = "triad-spill-"


def confine(session: duckdb.DuckDBPyConnection, *folders: Path, links: bool = True) -> None:
    """Let a session open what lies below `folders` and where it spills, and nothing else from here on.

    Names and values of a shop stand in its SQL: none is to reach another file, a URL or a variable of Python. Where the
    folders hold many files and no `links`, those are not looked for.
    """
    for setting in confinement(*folders, links=links):
        session.execute(setting)


def confinement(*folders: Path, links: bool = True) -> list[str]:
    """The SQL of `confine`, in its order. What links in `folders` point to belongs to them."""
    files = (file for folder in folders for file in folder.rglob("*.parquet")) if links else ()
    places = {file.resolve().parent for file in files if file.is_symlink()} | {
        place for folder in folders for place in (folder.resolve(), folder.absolute())
    }
    # DuckDB holds what it is given against the list before it takes it for a pattern
    allowed = ", ".join(sorted({sql_text(each) for place in places for each in (place, pattern(place))}))
    return [
        f"SET temp_directory = {sql_text(Path(tempfile.gettempdir()) / (SPILL + uuid4().hex))}",
        "SET python_enable_replacements = false",
        f"SET allowed_directories = [{allowed}]",
        "SET enable_external_access = false",
    ]


LOCK = "SET lock_configuration = true"
"""SQL after which no setting of a session can be changed."""


def _brought(folder: Path, name: str) -> pa.Table | None:
    """A table that others have written, brought to the contract's types; None where it has them all."""
    kinds = {c.name: _ARROW[c.type] for c in TABLES[name].columns}
    files = sorted(folder.rglob("*.parquet"))
    schemas = [pq.read_schema(file) for file in files]
    if all(
        {**dict.fromkeys(s.names, pa.string()), **kinds} == dict(zip(s.names, s.types, strict=True)) for s in schemas
    ):
        return None
    read = [conform(name, pq.ParquetFile(file).read()) for file in files]  # read_table would add columns of the path
    return pa.concat_tables(read, promote_options="default")
