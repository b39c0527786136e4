"""Spark SQL that answers as a DuckDB session does, and the events in numbers, cut into parts of users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from triad.errors import TriadError
from triad.features.sql import DAY
from triad.schema import EVENT_KINDS, TABLES
from triad.tables import arrow_schema

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

_KINDS = ", ".join(f"'{kind}'" for kind in EVENT_KINDS)

PER_USER = """
    SELECT user_id, count(*) AS n, count_if(kind = 'impression') AS shown FROM events GROUP BY user_id
"""

ACTIVITY = f"""
    SELECT event_id, user_no, item_no, unix_micros(occurred_at) AS time,
        CAST((unix_micros(occurred_at) - pmod(unix_micros(occurred_at), {DAY})) DIV {DAY} AS INT) AS day,
        CAST(array_position(array({_KINDS}), kind) - 1 AS TINYINT) AS kind,
        CASE WHEN session_id IS NOT NULL THEN xxhash64(session_id) END AS visit,
        CAST(position AS INT) AS position, surface, CASE WHEN price_cents > 0 THEN price_cents END AS price_cents,
        coalesce(quantity, 1) AS quantity, query_no, part
    FROM events JOIN user_part USING (user_id) JOIN item_number USING (item_id) LEFT JOIN query_row USING (query)
    WHERE kind IN ({_KINDS})
"""
"""As `features.catalogue.activity`. A visit's number may differ from there: nothing reads more than equality of it."""


class Tables:
    """Answers SQL that both engines read alike, in the way of a DuckDB session (`features.sql`)."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def execute(self, query: str) -> Answer:
        return Answer(self._spark.sql(query).toArrow())


class Answer:
    """All rows of a query."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def fetchnumpy(self) -> dict[str, Any]:
        return {name: _array(self.table[name]) for name in self.table.column_names}

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(zip(*(column.to_pylist() for column in self.table.columns), strict=True))

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(iter(self.fetchall()), None)


def _array(column: pa.ChunkedArray) -> Any:
    """As DuckDB's: texts are objects, a null is masked."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    known = ~np.asarray(column.is_null())
    values = np.asarray(column.fill_null(0) if column.null_count else column)
    return np.ma.masked_array(values, ~known) if column.null_count else values


def local(path: Path) -> str:
    """`path` as Spark's URL of a folder that all workers see."""
    return f"file://{path.resolve()}"


def view(spark: SparkSession, name: str, path: Path) -> None:
    """The Parquet files below `path` as a view. Names of folders say nothing: columns are those of the files."""
    spark.read.option("recursiveFileLookup", "true").parquet(local(path)).createOrReplaceTempView(name)


def check_types(events: Path) -> None:
    """Refuse events that `triad ingest` did not write: a column of another type reads differently by engine.

    Raises:
        TriadError: which column, and its type.
    """
    actual, expected = ds.dataset(events, format="parquet", partitioning=None).schema, arrow_schema(TABLES["events"])
    for field in expected:
        if field.name not in actual.names or actual.field(field.name).type != field.type:
            there = actual.field(field.name).type if field.name in actual.names else "nothing"
            raise TriadError(
                f"expected {field.type}, found {there}",
                where=f"table events, column {field.name}",
                mend="let `triad ingest` write the tables, or set runtime.engine to duckdb",
            )


def given(session: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Let the session's SQL read `rows` by `name`."""
    session.complete()  # an answer that was not read to its end would stand in the way
    session.register(name, rows)


def write(session: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """The answer of `query` as a Parquet file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".new.{path.name}")
    session.complete()
    with session.sql(query).to_arrow_reader() as read, pq.ParquetWriter(fresh, read.schema) as file:
        for piece in read:
            file.write_batch(piece)
    fresh.replace(path)


def write_activity(spark: SparkSession, folder: Path, known: Path) -> None:
    """The events in numbers, a folder `part=<first user>` a part of users."""
    for name in ("user_part", "item_number", "query_row"):
        view(spark, name, known / f"{name}.parquet")
    rows = spark.sql(ACTIVITY).repartition("part").sortWithinPartitions("part", "user_no", "time")
    rows.write.mode("overwrite").partitionBy("part").parquet(local(folder))


def part_starts(folder: Path) -> list[int]:
    """First users of the parts in `folder`, ascending."""
    return sorted(int(part.name.removeprefix("part=")) for part in folder.glob("part=*"))
