"""What a step of `pretrain` costs by the rows of the item table, updated whole and only where it is touched.

    python benchmarks/embeddings.py [--rows 50000 500000 5000000] [--tables whole touched] [--steps 15] [--xla on off]

A drawn shop: 4,000 users with 64 interactions each, items skewed over all rows; the network, batch and sampled softmax
of `params.yaml`. Each setting is a process of its own. Prints medians over the steps, after two that compile:
milliseconds, and in brackets those of processor time, for building the batch and for the step, and the peak memory of
the process. Whole tables of 5,000,000 rows need some 10 GB. Compare within one call alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from triad.config.pretrain import PretrainParams
from triad.config.runtime import RuntimeParams
from triad.encoders.base import Table
from triad.examples.dataset import Dataset
from triad.examples.lists import Lists
from triad.features.dataset import Items, Meta, Streams, Users
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.texts import Texts
from triad.training.loop import make_step
from triad.training.optimizers import Pace, Schedule, grouped
from triad.training.pretraining import make_loss
from triad.training.pretraining_feeds import TargetFeed
from triad.training.runtime import settle

USERS, LENGTH = 4000, 64


def shop(rows: int) -> Dataset:
    """The interactions above, on as many items as the table has rows of their own."""
    random, items = np.random.default_rng(0), rows - 1
    events = USERS * LENGTH
    item = (items * random.random(events) ** 4).astype(np.int64)  # skewed, and yet most rows are read at times
    zeros, none, people = np.zeros(events, np.int64), np.zeros(0, np.int64), np.zeros(USERS, np.int64)
    return Dataset(
        Items(
            item_id=Texts.of(np.arange(items).astype(str)),
            vocabulary_row=np.arange(1, rows, dtype=np.int32),
            category=random.integers(1, 50, (items, 2)).astype(np.int32),
            brand=random.integers(1, 50, items).astype(np.int32),
            tokens=random.integers(1, 300, (items, 8)).astype(np.int32),
            log_price=random.normal(7, 1, items).astype(np.float32),
            available_from=np.zeros(items, np.int64),
        ),
        Users(Texts.of(np.arange(USERS).astype(str)), random.integers(0, 4, (USERS, 2)), people, people),
        Streams(
            np.arange(USERS + 1) * LENGTH, item, zeros + 1, np.tile(np.arange(LENGTH) * 3_600_000_000, USERS), zeros
        ),
        {"lists": Lists(none, none, none, none, np.zeros(1, np.int64), none)},
        Meta(
            tasks={},
            classes={},
            context=(),
            context_mean=(),
            context_std=(),
            vocabulary_rows={"item": rows, "category": 50, "brand": 50, "token": 300, "country": 4, "device": 4},
            target_kind=1,
            windows={},
            negatives_sampled=False,
            oov_rate=0.0,
        ),
    )


def clocks() -> np.ndarray:
    """Seconds by the wall and of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def told(milliseconds: np.ndarray) -> str:
    """Both as the table has them."""
    return f"{milliseconds[0]:.0f} ({milliseconds[1]:.0f})"


def measure(rows: int, tables: str, xla: str, steps: int) -> str:
    """One line of the table."""
    settle(RuntimeParams(), seed=1)
    data, params = shop(rows), PretrainParams(loss="sampled_softmax")
    network = SequenceNetwork(trunk_config(data, params.trunk), params.own_items)
    feed = TargetFeed(data, params)
    plan = feed.plan(0)
    layers = [each for each in network._flatten_layers() if isinstance(each, Table) and each.rows == rows]
    touched = layers if tables == "touched" else []
    optimizers = grouped(
        network.trainable_variables, Schedule(2e-3, 1e-2, 12, 3, 200), len(plan), lambda _: Pace(), touched
    )
    step = make_step(make_loss(network, "sampled_softmax", rows - 1), optimizers, xla=xla == "on")
    seconds = []
    for number in range(steps + 2):
        start = clocks()
        _, batch = feed.build(plan[number % len(plan)], 0, number)
        built = clocks()
        float(step(batch)["loss"])
        seconds.append((built - start, clocks() - built))
    build, learn = 1000 * np.median(np.array(seconds[2:]), axis=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"| {rows:,} | {tables} | {xla} | {told(build)} | {told(learn)} | {told(build + learn)} | {peak:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 500_000, 5_000_000])
    parser.add_argument("--tables", nargs="+", default=["whole", "touched"])
    parser.add_argument("--xla", nargs="+", default=["on"])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(measure(asked.rows[0], asked.tables[0], asked.xla[0], asked.steps))
        return
    print(
        "| rows | tables | compiled | batch, ms | step, ms | both | peak GiB |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for xla in asked.xla:
        for rows in asked.rows:
            for tables in asked.tables:
                each = ["--rows", str(rows), "--tables", tables, "--xla", xla, "--steps", str(asked.steps), "--one"]
                done = subprocess.run([sys.executable, __file__, *each], stdout=subprocess.PIPE, check=True, text=True)
                print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
