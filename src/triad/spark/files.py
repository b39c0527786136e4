"""A shop's files, read and converted by a cluster: what `sources.apart` calls workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triad.sources.apart import Converted, Workers
from triad.sources.reading import Files
from triad.spark.handing import Handing
from triad.spark.session import started
from triad.spark.tasks import each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from triad.config.params import Params


@contextmanager
def workers_of(params: Params) -> Iterator[Workers | None]:
    """Who reads files: `runtime.engine`; None: this process.

    Raises:
        TriadError: the engine is `spark`, and the machine lacks what it needs.
    """
    if params.runtime.engine == "duckdb":
        yield None
        return
    with started(params.runtime.spark) as spark:
        yield partial(_on, spark)


def _on(spark: SparkSession, work: Callable[[Files], Converted], of: Sequence[Files]) -> list[Converted]:
    return each(spark, Handing(Path(".triad") / "spark"), work, of)  # no large array is handed on
