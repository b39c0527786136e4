"""The events on a cluster, as `features.log.Log`.

1. Spark SQL gives events the numbers of users, items and queries, and cuts them into parts of users.
2. Workers make the exposures of each part and count what each place on a page brings; Spark SQL adds the counts up.
3. Workers make the part's `signal`; Spark SQL takes its daily sums, by the statements that DuckDB runs.
4. Workers make each part's arrays. `features.exposure_arrays` asks for that, as it asks threads.

Every file is written whole, so a killed run goes on where it was. What this process holds in memory is what the
dataset's other arrays are: users, items and interactions, but no exposures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Ints
from triad.features import catalogue, signals
from triad.features.parts import Part, spans
from triad.features.signals import Funnel
from triad.features.sql import HOUR, columns, scalar
from triad.paths import parquet_below
from triad.spark.handing import Handing
from triad.spark.parts import Shards
from triad.spark.tables import PER_USER, Tables, check_types, given, part_starts, view, write, write_activity
from triad.spark.tasks import each, tasks
from triad.tasks.following import reached

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")
Item = TypeVar("Item")

_PLACE_DAYS = "place_no int, day int, shown bigint, taken bigint"


class SparkLog:
    """The events below `tables`, worked on by `spark`.

    Args:
        session: of this process, which may open `store` (`tables.connect`); it holds all tables but the events.
        store: a folder that all workers see, at the same path. What is made of the events lies there.
        negatives: rows that will stand beside each event where no page is recorded: parts are cut accordingly.
    """

    parts_folder = "parts-of-cluster"
    is_here = False

    def __init__(
        self, spark: SparkSession, session: duckdb.DuckDBPyConnection, tables: Path, store: Path, negatives: int
    ) -> None:
        check_types(tables / "events")
        self.tables = Tables(spark)
        self._spark, self._session, self._negatives = spark, session, negatives
        self._shards = Shards(store.resolve() / "spark")
        self._handing = Handing(self._shards.folder / "arrays")
        self._cut: list[Part] = []
        view(spark, "events", tables / "events")

    def __reduce__(self) -> tuple[type[Shards], tuple[Path]]:
        """To workers, a log is what opens a part."""
        return Shards, (self._shards.folder,)

    def activity(self) -> None:
        session, shards = self._session, self._shards
        given(session, "found_query", self.tables.execute(catalogue.QUERIES).table)
        catalogue.number_queries(session, "found_query")
        if not (shards.activity / "_SUCCESS").is_file():
            self._cut_users()
            write(session, "FROM query_row", shards.known / "query_row.parquet")
            write(session, "SELECT item_id, item_no FROM item_row", shards.known / "item_number.parquet")
            write_activity(self._spark, shards.activity, shards.known)
        for name in ("user_part", "item_number", "query_row"):  # no part needs them
            (shards.known / f"{name}.parquet").unlink(missing_ok=True)
        files = parquet_below(shards.activity)
        session.execute(f"CREATE OR REPLACE VIEW activity AS FROM read_parquet({files}, hive_partitioning = false)")
        view(self._spark, "activity", shards.activity)

    def _cut_users(self) -> None:
        """Leave `user_part`: each user's number, and the first user of the part."""
        session = self._session
        given(session, "counted", self.tables.execute(PER_USER).table)
        query = "SELECT user_no, n, shown FROM counted JOIN user_row USING (user_id) ORDER BY user_no"
        counts = columns(session, query)
        rows = counts["shown"] if counts["shown"].any() else counts["n"] * (1 + self._negatives)
        cut = spans(counts["user_no"], rows, self._users())
        given(session, "start", pa.table({"part": pa.array([part.users[0] for part in cut], pa.int32())}))
        parts = "SELECT user_id, user_no, part FROM user_row ASOF JOIN start ON user_no >= part"
        write(session, parts, self._shards.known / "user_part.parquet")
        session.unregister("counted")
        session.unregister("start")

    def _users(self) -> int:
        return scalar(self._session, "SELECT count(*) FROM user_row")

    def measure(self, funnel: Funnel, negatives: int, seed: int, hours: int) -> None:
        session, shards = self._session, self._shards
        for name in ("item_row", "price_grid"):
            write(session, f"FROM {name}", shards.known / f"{name}.parquet")
        starts = part_starts(shards.activity)
        cut = [Part(each, (0, 0)) for each in pairwise([*starts, self._users()])]
        counted = self.each(partial(shards.exposed, kind=funnel.kinds[0], negatives=negatives, seed=seed), cut)
        ends = np.cumsum([0, *counted]).tolist()
        cut = [Part(part.users, rows) for part, rows in zip(cut, pairwise(ends), strict=True)]
        # a part without exposures says what was done, and makes no row
        self._cut = [part for part in cut if part.rows[0] < part.rows[1]] or cut[:1]
        view(self._spark, "exposure", shards.folder / "exposure")
        if funnel.shown:
            self._count_places(cut, funnel.target, hours)
        self.each(partial(shards.signed, funnel=funnel), cut)
        view(self._spark, "signal", shards.folder / "signal")
        view(self._spark, "item_row", shards.known / "item_row.parquet")

    def _count_places(self, cut: Sequence[Part], target: int, hours: int) -> None:
        session, known = self._session, self._shards.known
        given(session, "found_place", self.tables.execute(signals.PLACES).table)
        signals.number_places(session, "found_place")
        session.unregister("found_place")
        write(session, "FROM place", known / "place.parquet")
        query = signals.place_days(f"({reached((target,), hours * HOUR)})")
        self._answers(query, cut, _PLACE_DAYS).createOrReplaceTempView("part_place_day")
        added = self.tables.execute(
            "SELECT place_no, day, sum(shown)::BIGINT AS shown, sum(taken)::BIGINT AS taken "
            "FROM part_place_day GROUP BY place_no, day"
        )
        given(session, "added", added.table)
        session.execute("CREATE OR REPLACE TEMP TABLE place_day AS FROM added")
        session.unregister("added")
        signals.base_rate(session)
        write(session, "FROM base_rate", known / "base_rate.parquet")

    def parts(self, users: int) -> Sequence[Part]:
        return self._cut

    def opened(self, part: Part) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return self._shards.opened(part)

    def each(self, work: Callable[[Item], T], of: Sequence[Item]) -> list[T]:
        """`work` of each as a task of Spark."""
        return each(self._spark, self._handing, work, of)

    def _answers(self, query: str, cut: Sequence[Part], schema: str) -> DataFrame:
        """The answers of all parts' own sessions to `query`, one after the other."""
        shards = self._shards

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for place in batch.column(0).to_pylist():
                    with shards.opened(cut[place]) as session:
                        session.complete()
                        yield from session.sql(query).to_arrow_reader()

        return tasks(self._spark, len(cut)).mapInArrow(run, schema)

    def reached(self, kinds: tuple[int, ...], within: int) -> Ints:
        return np.concatenate(self.each(partial(self._shards.reached, kinds=kinds, within=within), self._cut))

    def forget(self) -> None:
        for kind, name in (("TABLE", "price_grid"), ("TABLE", "price_known"), ("VIEW", "activity")):
            self._session.execute(f"DROP {kind} {name}")
