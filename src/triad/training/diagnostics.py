"""The negative-transfer report: how the tasks of one network affect one another. Arrays and mappings, no drawing.

A task's single-task twin is the same network made for it alone (`finetune.tasks`), with the same budget, batches and
seeds. λ over time are the columns `validation_lambda_<task>` of a training's history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import stats

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.models.multitask import MultiTaskNetwork
from triad.models.unit_batches import UnitBatches
from triad.training.gradients import measure, over_trunk


def over_seeds(together: Sequence[float], alone: Sequence[float], confidence: float = 0.95) -> dict[str, float]:
    """The paired gain of figures `together` over those `alone`, one a seed; more is better. Student's t interval.

    Raises:
        TriadError: they are not of the same seeds.
    """
    if len(together) != len(alone) or not len(alone):
        raise TriadError(
            f"{len(together)} figures stand against {len(alone)}", where="single-task twin", mend="run the same seeds"
        )
    gain = np.subtract(together, alone)
    mean, spread = float(gain.mean()), float("inf")  # one seed says nothing of the spread
    if len(gain) > 1:
        spread = float(stats.t.ppf((1 + confidence) / 2, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5)
    return {"gain": mean, "lo": mean - spread, "hi": mean + spread}


def negative_transfer(
    together: Mapping[str, Sequence[float]], alone: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """Task → figures, gain over the twin, and a verdict: "helps", "harms", or "open" where the interval holds zero."""
    report = {}
    for task, figures in together.items():
        gain = over_seeds(figures, alone[task])
        verdict = "helps" if gain["lo"] > 0 else "harms" if gain["hi"] < 0 else "open"
        report[task] = {
            "together": float(np.mean(figures)),
            "alone": float(np.mean(alone[task])),
            **gain,
            "verdict": verdict,
        }
    return report


def cosines(grams: Floats) -> dict[str, Floats]:
    """From products of gradients (batches, tasks, tasks): the tasks' mean `cosine`, and how often it is below zero.

    Both (tasks, tasks), over batches where both tasks have a gradient; NaN where there is no such batch.
    """
    grams = np.asarray(grams, np.float64)
    length = np.sqrt(np.einsum("btt->bt", grams))
    both = (length[:, :, None] > 0) & (length[:, None] > 0)
    count = both.sum(axis=0)
    cosine = np.where(both, grams / np.where(both, length[:, :, None] * length[:, None], 1), 0)
    with np.errstate(invalid="ignore"):
        return {"cosine": cosine.sum(axis=0) / count, "conflict": (cosine < 0).sum(axis=0) / count}


def lambdas(history: Sequence[Mapping[str, float]], tasks: Sequence[str]) -> Floats:
    """(epochs, tasks) λ from a training's history."""
    return np.array([[row[f"validation_lambda_{task}"] for task in tasks] for row in history], np.float64)


def gradient_grams(network: MultiTaskNetwork, data: Dataset, rows: Mapping[str, Ints], slots: int = 1024) -> Floats:
    """(batches, tasks, tasks) products of the tasks' gradients on `rows` of each unit, without dropout.

    Within one unit they are those of `gradients.measure`. Tasks of several units meet in the trunk's weights alone, so
    there the gradients are taken over these, from a batch of each unit.
    """

    @tf.function
    def gram(batch: Any) -> Any:
        return measure(network, batch, training=False, with_gram=True).gram

    @tf.function
    def gradients(batch: Any) -> Any:
        return over_trunk(network, batch)

    dealt = [_batches(network, data, unit, rows[unit], slots) for unit in network.units]
    if len(dealt) == 1:
        return np.stack([gram(batch).numpy() for _, batch in dealt[0](seed=(0,))])
    lists = [[batch for _, batch in batches(seed=(0,))] for batches in dealt]
    grams = []
    for step in range(max(map(len, lists))):
        joined = np.concatenate([gradients(batches[step % len(batches)]).numpy() for batches in lists])
        grams.append(joined @ joined.T)
    return np.stack(grams)


def expert_use(network: MultiTaskNetwork, data: Dataset, unit: str, rows: Ints, slots: int = 1024) -> Floats:
    """(tasks of the unit, experts) mean weight of each expert for each task, over `rows` of `unit`.

    Raises:
        TriadError: the body has no gates.
    """
    heads = network.units[unit]
    if not hasattr(heads.body, "mix"):
        body = network.get_config()["dials"]["body"]
        raise TriadError(f"{body} has no gates", where="finetune.body", mend="ask mmoe, ple or stem")

    @tf.function
    def used(batch: Any) -> Any:
        arrays = batch[unit]
        read, _ = heads.features(heads.represent(network.trunk, arrays), arrays)
        return tf.einsum("n,nte->te", arrays["mask"], tf.cast(heads.body.mix(read)[1], tf.float32))

    batches = _batches(network, data, unit, rows, slots)
    return np.sum([used(batch).numpy() for _, batch in batches()], axis=0) / len(rows)


def _batches(network: MultiTaskNetwork, data: Dataset, unit: str, rows: Ints, slots: int) -> UnitBatches:
    steps, tasks = network.trunk.max_steps, network.units[unit].tasks
    return UnitBatches(data, unit, rows, max_steps=steps, slots=min(slots, len(rows)), tasks=tasks)
