"""The suites of `expectations/` on a cluster: Great Expectations' own Spark engine, with the verdicts of DuckDB.

A suite is written for DuckDB. Types get Spark's names here. SQL is asked of Spark as it stands. A check of single rows
whose SQL Spark cannot read is asked of pieces of the table, by DuckDB on the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from triad.tables import LOCK
from triad.validation.engines import Engine, Rows, on_duckdb
from triad.validation.suites import Suite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from triad.config.params import Params

_TYPES = {
    **dict.fromkeys(("String", "VARCHAR"), "StringType"),
    **dict.fromkeys(("BIGINT", "BigInteger"), "LongType"),
    **dict.fromkeys(("DOUBLE", "Float", "Double"), "DoubleType"),
    **dict.fromkeys(("BOOLEAN", "Boolean"), "BooleanType"),
    **dict.fromkeys(("DATE", "Date"), "DateType"),
    "TIMESTAMP": "TimestampType",
}
_SETTINGS = {  # as DuckDB reads SQL
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.parser.escapedStringLiterals": "true",
}


@contextmanager
def engine_of(params: Params, tables: Path, names: Sequence[str], window: Mapping[str, str]) -> Iterator[Engine]:
    """What asks the tables `names` in the folder `tables`: `runtime.engine`.

    Args:
        window: as `window_of` makes it.

    Raises:
        TriadError: the engine is `spark`, and the machine lacks what it needs.
    """
    if params.runtime.engine == "duckdb":
        with on_duckdb(tables, names, window) as engine:
            yield engine
        return
    from triad.spark.session import started  # PySpark is an extra, and Arrow's data sets import pandas
    from triad.spark.tables import view

    with started(params.runtime.spark) as spark:
        for name, value in _SETTINGS.items():
            spark.conf.set(name, value)
        for name in names:
            view(spark, name, tables / name)
        since, until, first, last = window.values()
        spark.sql(
            f"SELECT CAST('{since}' AS TIMESTAMP) AS since, CAST('{until}' AS TIMESTAMP) AS until, "
            f"DATE '{first}' AS first_day, DATE '{last}' AS last_day"
        ).createOrReplaceTempView("run_window")
        yield OnSpark(spark)


class OnSpark:
    """Views of the tables in a session."""

    unseen = "pyspark.sql.connect"
    """Another kind of session. Its import ends a process whose main module is no file."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._pieces: dict[str, str] = {}  # DuckDB's query → the view of what workers answer

    def connect(self, context: Any) -> None:
        self._source = context.data_sources.add_spark("tables")

    def suite(self, table: str, suite: Suite) -> Suite:
        return suite | {"expectations": [self._one(table, each) for each in suite["expectations"]]}

    def batch(self, table: str) -> tuple[Any, dict[str, Any]]:
        asset = self._source.add_dataframe_asset(table)
        return asset.add_batch_definition_whole_dataframe("all"), {"dataframe": self._spark.table(table)}

    def first(self, query: str, count: int) -> Rows:
        query = f"SELECT * FROM {self._pieces[query]}" if query in self._pieces else query
        ordered = f"SELECT * FROM ({query}) ORDER BY ALL NULLS LAST LIMIT {count}"
        answer = self._spark.sql(ordered).toArrow()
        return answer.column_names, list(zip(*(column.to_pylist() for column in answer.columns), strict=True))

    def _one(self, table: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
        arguments = dict(expectation["kwargs"])
        if isinstance(named := arguments.get("type_list"), list):
            arguments["type_list"] = [_TYPES.get(each, each) for each in named]
        elif isinstance(named := arguments.get("type_"), str):
            arguments["type_"] = _TYPES.get(named, named)
        query = arguments.get("unexpected_rows_query")
        if isinstance(query, str) and (expectation.get("meta") or {}).get("row") and not self._is_read(query, table):
            arguments["unexpected_rows_query"] = self._by_pieces(query, table)
        return {**expectation, "kwargs": arguments}

    def _is_read(self, query: str, table: str) -> bool:
        from pyspark.errors import PySparkException

        try:
            self._spark.sql(query.replace("{batch}", table))
        except PySparkException:
            return False
        return True

    def _by_pieces(self, query: str, table: str) -> str:
        name = f"{table}_asked_{len(self._pieces)}"
        rows = self._spark.table(table)
        rows.mapInArrow(_asking(query.replace("{batch}", "piece")), rows.schema).createOrReplaceTempView(name)
        self._pieces[query.replace("{batch}", table)] = name
        return f"SELECT * FROM {name} /* of {{batch}} */"


def _asking(query: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Answers DuckDB's `query`, which can open nothing, for each batch by the name `piece`."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with duckdb.connect() as session:
                session.execute("SET TimeZone = 'UTC'; SET threads = 1; SET python_enable_replacements = false")
                session.execute(f"SET enable_external_access = false; {LOCK}")
                session.register("piece", pa.Table.from_batches([batch]))
                yield from session.sql(query).to_arrow_reader()

    return run
