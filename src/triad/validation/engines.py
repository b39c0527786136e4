"""Where Great Expectations asks its questions: DuckDB in this process. `triad.spark.suites` is the other engine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb

from triad.paths import sqlalchemy_url
from triad.tables import LOCK, confinement, scan
from triad.validation.suites import Suite

Rows = tuple[list[str], list[tuple[Any, ...]]]
"""Names of columns, and the values of each row."""


class Engine(Protocol):
    """What asks the tables of one window."""

    unseen: str
    """A package that Great Expectations is imported without."""

    def connect(self, context: Any) -> None:
        """Make the engine a source of `context`, once and before all else."""

    def suite(self, table: str, suite: Suite) -> Suite:
        """`suite` as the engine reads it, each expectation at its place."""

    def batch(self, table: str) -> tuple[Any, dict[str, Any]]:
        """Great Expectations' definition of the whole table, and the parameters that it is run with."""

    def first(self, query: str, count: int) -> Rows:
        """The first rows that DuckDB's `query` selects, in the order of their columns, nulls last."""


class OnDuckDB:
    """Views of the tables in the file `database`. SQL can open nothing that `settings` do not allow."""

    unseen = "pyspark"

    def __init__(self, database: Path, settings: Sequence[str]) -> None:
        self._database, self._settings = database, settings

    def connect(self, context: Any) -> None:
        self._source = context.data_sources.add_sql(
            "tables",
            connection_string=sqlalchemy_url("duckdb", self._database),
            kwargs={"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True},
        )
        self._engine = self._source.get_engine()
        with self._engine.connect() as session:
            for setting in ("SET GLOBAL TimeZone = 'UTC'", *self._settings, LOCK):
                session.exec_driver_sql(setting)

    def suite(self, table: str, suite: Suite) -> Suite:
        return suite

    def batch(self, table: str) -> tuple[Any, dict[str, Any]]:
        return self._source.add_table_asset(table, table_name=table).add_batch_definition_whole_table("all"), {}

    def first(self, query: str, count: int) -> Rows:
        with self._engine.connect() as session:
            cursor = session.exec_driver_sql(f"SELECT * FROM ({query}) ORDER BY ALL LIMIT {count}")
            return list(cursor.keys()), [tuple(row) for row in cursor.fetchall()]

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def on_duckdb(tables: Path, names: Sequence[str], window: Mapping[str, str]) -> Iterator[OnDuckDB]:
    """The tables `names` in the folder `tables`, and `run_window`. What is asked can open nothing but `tables`."""
    with tempfile.TemporaryDirectory() as scratch:
        database = Path(scratch) / "tables.duckdb"
        with duckdb.connect(str(database)) as session:
            for name in names:
                session.execute(f"CREATE VIEW {name} AS SELECT * FROM {scan(tables.resolve(), name)}")
            make_window(session, window)
        engine = OnDuckDB(database, confinement(tables))
        yield engine
        engine.close()


def make_window(session: duckdb.DuckDBPyConnection, window: Mapping[str, str]) -> None:
    """The table `run_window`, which an SQL expectation may name: one row with the values of `window_of`."""
    session.execute(
        "CREATE TABLE run_window AS SELECT ?::TIMESTAMPTZ AS since, ?::TIMESTAMPTZ AS until, "
        "?::DATE AS first_day, ?::DATE AS last_day",
        list(window.values()),
    )
