"""A part's own DuckDB session on a worker, and what is made in it. Each makes one file, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from triad.arrays import Ints
from triad.features import exposures, signals
from triad.features.log import rows_reached
from triad.features.parts import Part
from triad.features.signals import Funnel
from triad.paths import parquet_below, pattern, sql_text
from triad.spark.tables import write
from triad.tables import confine

MEMORY = "1GB"


@dataclass(frozen=True)
class Shards:
    """A folder that all workers see. A part is named by its first user."""

    folder: Path

    @property
    def activity(self) -> Path:
        return self.folder / "activity"

    @property
    def known(self) -> Path:
        """Small tables, the same for all parts."""
        return self.folder / "known"

    def shard(self, table: str, part: Part) -> Path:
        return self.folder / table / f"{part.users[0]}.parquet"

    @contextmanager
    def opened(self, part: Part) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session in which `activity`, `exposure` and `signal`, as far as they are made, are the part's."""
        with duckdb.connect() as session:
            session.execute(f"SET TimeZone = 'UTC'; SET threads = 1; SET memory_limit = '{MEMORY}'")
            session.execute("SET preserve_insertion_order = false")
            confine(session, self.folder, links=False)
            own = self.activity / f"part={part.users[0]}"
            session.execute(
                f"CREATE VIEW activity AS FROM read_parquet({parquet_below(own)}, hive_partitioning = false)"
            )
            for file in sorted(self.known.glob("*.parquet")):
                session.execute(f"CREATE VIEW {file.stem} AS FROM {_scan(file)}")
            if (file := self.shard("exposure", part)).is_file():
                rows = f"SELECT (row + {part.rows[0]})::INT AS row, * EXCLUDE (row) FROM {_scan(file)}"
                session.execute(f"CREATE VIEW exposure AS {rows}")
            if (file := self.shard("signal", part)).is_file():
                session.execute(f"CREATE VIEW signal AS FROM {_scan(file)}")
            yield session

    def exposed(self, part: Part, kind: int, negatives: int, seed: int) -> int:
        """Make the part's exposures, numbered from 0, unless they are there; how many there are."""
        file = self.shard("exposure", part)
        if not file.is_file():
            with self.opened(part) as session:
                exposures.build(session, kind, negatives, seed)
                write(session, "FROM exposure", file)
        return int(pq.read_metadata(file).num_rows)

    def signed(self, part: Part, funnel: Funnel) -> None:
        """Make the part's `signal`, unless it is there."""
        file = self.shard("signal", part)
        if not file.is_file():
            with self.opened(part) as session:
                signals.sign(session, funnel)
                write(session, "FROM signal", file)

    def reached(self, part: Part, kinds: tuple[int, ...], within: int) -> Ints:
        with self.opened(part) as session:
            return rows_reached(session, kinds, within)


def _scan(file: Path) -> str:
    return f"read_parquet({sql_text(pattern(file))})"
