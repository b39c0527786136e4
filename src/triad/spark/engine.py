"""Where a window's events are worked on: `runtime.engine`.

It is no parameter of a stage in `dvc.yaml`: both engines make the same examples, so a change makes nothing stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from triad.features.log import Log, Own

if TYPE_CHECKING:
    from triad.config.params import Params


@contextmanager
def log_of(params: Params, session: duckdb.DuckDBPyConnection, tables: Path, store: Path) -> Iterator[Log]:
    """The events below `tables`, of which `session` is one that may open `store`.

    Raises:
        TriadError: the engine is `spark`, and the machine or the tables lack what it needs.
    """
    if params.runtime.engine == "duckdb":
        yield Own(session)
        return
    from triad.spark.log import SparkLog  # PySpark is an extra
    from triad.spark.session import started

    with started(params.runtime.spark) as spark:
        yield SparkLog(spark, session, tables, store, params.features.sampled_negatives)
