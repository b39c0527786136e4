"""Lists on a cluster: each task chooses the items of some customers, by the functions that one process runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triad.features.stores import store
from triad.fusion.fused import Fused
from triad.spark.handing import Handing
from triad.spark.session import started
from triad.spark.tasks import each
from triad.tracking.choosing import Asked, Choosing, choose
from triad.tracking.recommending import Pairs
from triad.tracking.retrieving import shares

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from triad.config.params import Params


@contextmanager
def choosing_of(params: Params, fuse: Path, tables: Path, read: Sequence[Any]) -> Iterator[Choosing | None]:
    """Who chooses the items of lists of `tables` by the fusion in the folder `fuse`; None: this process.

    Workers see what it writes below `.triad`.

    Args:
        read: what the lists depend on besides.

    Raises:
        TriadError: the engine is `spark`, and the machine lacks what it needs.
    """
    if params.runtime.engine == "duckdb":
        yield None
        return
    with store("recommend", tables, read) as place, started(params.runtime.spark) as spark:
        yield partial(_on, spark, fuse, place.resolve())


def _on(spark: SparkSession, fuse: Path, place: Path, asked: Asked) -> list[Pairs]:
    shutil.copytree(fuse, place / "fuse", dirs_exist_ok=True)  # a run that was killed left the same
    work = partial(_choose, place / "fuse", asked)  # a cluster that loses a worker does its share again
    return each(spark, Handing(place / "arrays"), work, shares(asked.customers))


def _choose(fuse: Path, asked: Asked, share: range) -> Pairs:
    fused = loaded(fuse)
    return choose(fused, fused.ranker(asked.data, index=asked.index), asked, share)


@cache
def loaded(fuse: Path) -> Fused:
    """The fusion in a folder. A worker process has many tasks, and loads the networks once."""
    return Fused.load(fuse)
