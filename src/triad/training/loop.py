"""The one training loop: static batches, early stopping, checkpoints within an epoch, the best weights at the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from triad.encoders.base import Table
from triad.errors import TriadError
from triad.models.batches import Batch
from triad.progress import Progress
from triad.training import workers
from triad.training.checkpoints import Checkpoint
from triad.training.optimizers import Groups, Pace, Schedule, grouped
from triad.training.runtime import Runtime

log = logging.getLogger("triad.training")

Losses = dict[str, float]


class Feed(Protocol):
    """Training batches. What `plan` and `build` give follows from their arguments alone, so that a run can resume."""

    examples: int  # an epoch

    def plan(self, epoch: int) -> list[Any]:
        """The batches of an epoch, in order, named but not yet built."""
        ...

    def build(self, planned: Any, epoch: int, step: int) -> tuple[int, Batch]:
        """How many examples the batch holds, and its arrays."""
        ...


def fit(
    network: keras.Model,
    loss_of: Callable[[Batch], tuple[Any, dict[str, Any]]],
    feed: Feed,
    validate: Callable[[], Losses],
    schedule: Schedule,
    *,
    runtime: Runtime,
    folder: Path | None = None,
    label: str = "train",
    chosen_by: str = "loss",
    pace: Callable[[Any], Pace] = lambda _: Pace(),
    after: Callable[[Batch], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> list[dict[str, float]]:
    """Train `network`, leave it with the averaged weights of its best epoch, and return one row of losses an epoch.

    Args:
        network: a built Keras model.
        loss_of: a batch's total loss and its parts, in Keras ops.
        feed: the training batches.
        validate: called after each epoch. Where it does not give `chosen_by`, all epochs are run, and the last stays.
        schedule: rates and patience.
        runtime: decides whether the step is compiled.
        folder: where a checkpoint lies, or shall; resumed from if it is there.
        label: the progress bar's name.
        chosen_by: which of `validate`'s values is least at the best epoch.
        pace: how a weight learns.
        after: called with the batch after each step, within the compiled step.
        on_epoch: told each epoch's row of losses; what it raises ends the training.

    Raises:
        TriadError: there is nothing to train on, or the loss is no longer a number.
    """
    first_plan = feed.plan(0)
    if not first_plan:
        raise TriadError(
            "no example of the train split", where=label, mend="widen ingest.window_days, or check features"
        )
    tables = [
        each for each in network._flatten_layers() if isinstance(each, Table) and runtime.updates_touched(each.rows)
    ]
    optimizers = grouped(network.trainable_variables, schedule, len(first_plan), pace, tables)
    best = [tf.Variable(each.value) for each in network.trainable_variables]
    checkpoint = Checkpoint(folder, [*network.variables, *optimizers.variables], best)
    at: dict[str, Any] = {
        "epoch": 0,
        "step": 0,
        "examples": 0,
        "sums": {},
        "counts": {},
        "best": None,
        "waited": 0,
        "history": [],
    }
    cluster = workers.cluster()
    if saved := checkpoint.restore():
        at = saved
        log.info("%s goes on from its checkpoint: epoch %d, step %d", label, at["epoch"] + 1, at["step"] + 1)
    if cluster:
        cluster.check_place(at)
    xla = runtime.compiles(len(first_plan) * schedule.max_epochs, touched=bool(tables))
    learning = optimizers.at(at["epoch"])
    train_step = make_step(loss_of, learning, after=after, xla=xla, shares=runtime.workers)

    while at["epoch"] < schedule.max_epochs and at["waited"] < schedule.patience:
        epoch = at["epoch"]
        plan = feed.plan(epoch) if epoch else first_plan
        if len(optimizers.at(epoch)) > len(learning):  # more weights learn from here on
            learning = optimizers.at(epoch)
            train_step = make_step(loss_of, learning, after=after, xla=xla, shares=runtime.workers)
        with Progress(f"{label} epoch {epoch + 1}/{schedule.max_epochs}", feed.examples, "examples") as bar:
            bar.advance(at["examples"])
            for step, count, batch in built_ahead(feed, plan, epoch, at["step"]):
                parts = {name: float(value) for name, value in train_step(batch).items()}
                if not math.isfinite(parts["loss"]):
                    raise TriadError(
                        f"the loss is {parts['loss']} at epoch {epoch + 1}, step {step + 1}",
                        where=label,
                        mend="lower learning_rate, or look for absurd values in the context features",
                    )
                for name, value in parts.items():  # a part may be that of some batches alone
                    at["sums"][name] = at["sums"].get(name, 0.0) + value
                    at["counts"][name] = at["counts"].get(name, 0) + 1
                at["step"], at["examples"] = step + 1, at["examples"] + count
                if (step + 1) % schedule.checkpoint_steps == 0:
                    checkpoint.save(at)
                bar.advance(count, loss=at["sums"]["loss"] / (step + 1))
        with learning.averaged():
            losses = cluster.agreed(validate()) if cluster else validate()
            figure = losses.get(chosen_by)
            better = figure is None or at["best"] is None or figure < at["best"]
            if better:
                for kept, each in zip(best, network.trainable_variables, strict=True):
                    kept.assign(each.value)
        means = {f"train_{name}": total / at["counts"][name] for name, total in at["sums"].items()}
        row = {"epoch": float(epoch + 1), **means, **{f"validation_{name}": value for name, value in losses.items()}}
        at = {
            "epoch": epoch + 1,
            "step": 0,
            "examples": 0,
            "sums": {},
            "counts": {},
            "best": figure if better else at["best"],
            "waited": 0 if better else at["waited"] + 1,
            "history": [*at["history"], row],
        }
        checkpoint.save(at)
        on_epoch(row)
    for kept, each in zip(best, network.trainable_variables, strict=True):
        each.assign(kept)
    return list(at["history"])


def built_ahead(feed: Feed, plan: list[Any], epoch: int, first: int) -> Iterator[tuple[int, int, Batch]]:
    """(step, examples, batch) of `plan` from `first` on, each built while the step before it is computed."""
    with ThreadPoolExecutor(1) as builder:
        steps = range(first, len(plan))
        later = [builder.submit(feed.build, plan[step], epoch, step) for step in steps[:1]]
        for step in steps:
            count, batch = later.pop().result()
            later += [builder.submit(feed.build, plan[place], epoch, place) for place in steps[step + 1 - first :][:1]]
            yield step, count, batch


def make_step(
    loss_of: Callable[[Batch], tuple[Any, dict[str, Any]]],
    optimizers: Groups,
    *,
    after: Callable[[Batch], None] | None = None,
    xla: bool,
    shares: int = 1,
) -> Callable[[Batch], dict[str, Any]]:
    """One optimizer step as a compiled function of a batch; gives the loss and its parts.

    Args:
        shares: into how many the batch is cut; other processes may compute some of them.
    """
    weights, cluster = optimizers.weights, workers.cluster()

    @tf.function(jit_compile=xla)
    def step(batch: Batch) -> dict[str, Any]:
        with cluster.sharing() if cluster else nullcontext():
            with optimizers.reading(), tf.GradientTape() as tape:
                loss, parts = loss_of(batch)
            gradients = tape.gradient(loss, weights)
            if shares > 1:
                gradients = optimizers.dense(gradients)
            optimizers.apply(cluster.means(gradients) if cluster else gradients)
            if after is not None:
                after(batch)
        return {"loss": loss, **parts}

    return step
