"""`runtime`: the device and precision of the networks, and the engine of the tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section, Text


class SparkParams(Section):
    """The cluster that `engine: spark` works on. It needs `pip install 'triad[spark]'` and Java 17 or later."""

    master: Text = Field(
        default="local[*]",
        description="spark://host:7077, yarn …; local[*]: all cores of this machine. Workers have the same Triad "
        "installed and see the checkout's folder at the same path",
    )

    settings: dict[str, str] = Field(default={}, description="Spark's own settings, such as spark.executor.memory: 8g")


class RuntimeParams(Section):
    """`auto` picks by what is there; asking for a GPU that is not there is an error."""

    device: Literal["auto", "cpu", "gpu"] = "auto"

    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """auto: float32, also on a GPU, where half precision has not been seen to be faster (`benchmarks/devices.py`)."""

    xla: Literal["auto", "on", "off"] = "auto"
    """auto: long trainings on a CPU are compiled, and none on a GPU (`training/runtime.py`)."""

    determinism: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="on: two trainings on one machine end in the same weights, bit for bit; off: operations may add in "
        "any order and run side by side; auto: on",
    )

    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="where files are read, suites asked, examples made, lists chosen and batches answered: in this "
        "process, or on an Apache Spark cluster (docs/scaling.md); what comes of it is the same",
    )

    spark: SparkParams = SparkParams()

    workers: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="shares that pretrain and finetune cut a step's batch into; the processes of TF_CONFIG take them "
        "(docs/scaling.md), or without it this one takes all",
    )

    tables: Literal["auto", "whole", "touched"] = Field(
        default="auto",
        description="what a step updates of an embedding table. whole: all rows; touched: the rows it reads, and all "
        "others make up for it when they are read next; auto: touched for tables of 100,000 rows or more",
    )
