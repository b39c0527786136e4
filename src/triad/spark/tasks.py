"""Work on many things at once, each a task of Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from triad.spark.handing import Handing, unpacked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")
Item = TypeVar("Item")


def each(spark: SparkSession, handing: Handing, work: Callable[[Item], T], of: Sequence[Item]) -> list[T]:
    """`work` of each, in order. The workers see what `handing` writes."""
    if not of:
        return []
    packed = spark.sparkContext.broadcast(handing.packed((work, list(of))))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pickle

        wanted, items = unpacked(packed.value)
        for batch in batches:
            for place in batch.column(0).to_pylist():
                made = pickle.dumps(wanted(items[place]), protocol=5)
                yield pa.RecordBatch.from_pydict({"place": [place], "made": pa.array([made], pa.binary())})

    try:
        answers = tasks(spark, len(of)).mapInArrow(run, "place long, made binary").toArrow()
    finally:
        packed.destroy()
    made = dict(zip(answers["place"].to_pylist(), answers["made"].to_pylist(), strict=True))
    return [unpacked(made[place]) for place in range(len(of))]


def tasks(spark: SparkSession, count: int) -> DataFrame:
    """The numbers below `count`, a task each."""
    return spark.range(0, count, 1, count)
