"""What reading each stream once is worth: training examples a second, against encoding the history for each exposure.

The same network, weights, loss and optimizer step, on the same exposures. Once: a batch holds 41 users' streams and the
4096 exposures that read their states. Each: a batch holds 512 exposures, every one with its own copy of its history.
The workload is synthetic: 123 users, 64 interactions and 100 exposures each, spread evenly over the stream; 1000 items;
40 context columns; the four tasks of params.yaml. The two alternate in one run, each after a step that compiles it.

Run: python benchmarks/streams.py [repetitions]
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.examples.lists import Lists
from triad.features.dataset import Items, Meta, Streams, Users, without_vectors
from triad.models.multitask import multi_task
from triad.models.trunk import trunk_config
from triad.texts import Texts
from triad.training.feeds import UnitFeed
from triad.training.finetuning import make_loss
from triad.training.loop import make_step
from triad.training.optimizers import Pace, Schedule, grouped
from triad.training.runtime import settle

USERS, STEPS, EXPOSURES, ITEMS, CONTEXT = 123, 64, 100, 1000, 40
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move"),
}


def workload(*, apart: bool) -> Dataset:
    """The exposures above; `apart` gives each a user of its own, whose stream is the history it had."""
    random = np.random.default_rng(0)
    item, kind = random.integers(0, ITEMS, USERS * STEPS), random.integers(1, 4, USERS * STEPS)
    time_ = np.tile(np.arange(STEPS) * 3_600_000_000, USERS)
    attributes = random.integers(0, 4, (USERS, 2))
    user = np.repeat(np.arange(USERS), EXPOSURES)
    history = np.tile(np.linspace(1, STEPS, EXPOSURES).astype(int), USERS)
    offsets = np.arange(USERS + 1) * STEPS
    if apart:
        place = np.concatenate([offsets[u] + np.arange(h) for u, h in zip(user, history, strict=True)])
        item, kind, time_, attributes = item[place], kind[place], time_[place], attributes[user]
        offsets, user = np.r_[0, np.cumsum(history)], np.arange(len(user))
    n, people = len(user), len(offsets) - 1
    labels = np.stack(
        [random.integers(0, 2, n), random.integers(0, 2, n), random.integers(0, 3, n), random.normal(size=n)], axis=1
    )
    names = tuple(f"context_{place}" for place in range(CONTEXT))
    zeros, none = np.zeros(n, np.int64), np.zeros(0, np.int64)
    return Dataset(
        Items(
            item_id=Texts.of(np.arange(ITEMS).astype(str)),
            vocabulary_row=1 + np.arange(ITEMS),
            category=random.integers(1, 50, (ITEMS, 2)),
            brand=random.integers(1, 50, ITEMS),
            tokens=random.integers(1, 300, (ITEMS, 8)),
            log_price=random.normal(7, 1, ITEMS),
            available_from=np.zeros(ITEMS, np.int64),
            **without_vectors(ITEMS),
        ),
        Users(
            Texts.of(np.arange(people).astype(str)), attributes, np.zeros(people, np.int64), np.zeros(people, np.int64)
        ),
        Streams(offsets, item, kind, time_, np.zeros(len(item), np.int64)),
        {
            "exposures": Exposures(
                event_id=Texts.of(np.arange(n).astype(str)),
                user=user,
                item=random.integers(0, ITEMS, n),
                time=zeros,
                split=zeros,
                history=history,
                context=random.normal(size=(n, CONTEXT)).astype(np.float32),
                labels=labels.astype(np.float32),
                is_new_user=zeros > 0,
                is_cold_item=zeros > 0,
            ),
            "lists": Lists(none, none, none, none, np.zeros(1, np.int64), none),
        },
        Meta(
            tasks={"exposures": tuple(TASKS)},
            classes={"profile": ("a", "b", "c")},
            context=names,
            context_mean=(0.0,) * CONTEXT,
            context_std=(1.0,) * CONTEXT,
            vocabulary_rows={"item": ITEMS + 1, "category": 50, "brand": 50, "token": 300, "country": 4, "device": 4},
            target_kind=1,
            windows={},
            negatives_sampled=False,
            oov_rate=0.0,
        ),
    )


class Contender:
    """A network in training on one way of packing the workload."""

    def __init__(self, *, apart: bool, slots: int) -> None:
        data, trunk, params = workload(apart=apart), TrunkParams(), FinetuneParams(batch_exposures=slots)
        network = multi_task(data, trunk_config(data, trunk), params, TASKS)
        self.feed = UnitFeed(data, params, trunk.max_steps, {"exposures": TASKS})
        self.plan = self.feed.plan(0)
        optimizers = grouped(
            network.trainable_variables, Schedule(1e-3, 1e-2, 10, 3, 200), len(self.plan), lambda _: Pace()
        )
        self.step = make_step(make_loss(network), optimizers, xla=True)
        self.shape = self.feed.build(self.plan[0], 0, 0)[1]["item"].shape
        self.rate(2)

    def rate(self, steps: int) -> float:
        """Examples a second over so many steps, building the batches included."""
        began, examples = time.perf_counter(), 0
        for step in range(steps):
            count, batch = self.feed.build(self.plan[step % len(self.plan)], 0, step)
            float(self.step(batch)["loss"])
            examples += count
        return examples / (time.perf_counter() - began)


def main(repetitions: int) -> None:
    settle(RuntimeParams(), seed=1)
    once, each = Contender(apart=False, slots=4100), Contender(apart=True, slots=512)
    rates = np.array([(once.rate(6), each.rate(2)) for _ in range(repetitions)])
    for place, (name, contender) in enumerate({"streams read once": once, "history of each exposure": each}.items()):
        low, middle, high = np.quantile(rates[:, place], [0.25, 0.5, 0.75])
        spread = f"(quartiles {low:,.0f} … {high:,.0f})"
        print(f"{name:25s} {middle:9,.0f} examples/s {spread}, streams a batch {contender.shape[0]}")
    low, middle, high = np.quantile(rates[:, 0] / rates[:, 1], [0.25, 0.5, 0.75])
    print(f"{'ratio':25s} {middle:9.1f} × (quartiles {low:.1f} … {high:.1f}; {repetitions} alternating repetitions)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
