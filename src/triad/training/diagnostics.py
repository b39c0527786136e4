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

from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import Floats, Ints
from triad.models.batches import Batches
from triad.models.multitask import MultiTaskNetwork
from triad.training.gradients import measure


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
    together: Mapping[str, Sequence[float]], alone: Mapping[str, Sequence[float]], confidence: float = 0.95
) -> dict[str, dict[str, Any]]:
    """Task → figures, gain over the twin, and a verdict: "helps", "harms", or "open" where the interval holds zero."""
    found = {}
    for task, figures in together.items():
        gain = over_seeds(figures, alone[task], confidence)
        verdict = "helps" if gain["lo"] > 0 else "harms" if gain["hi"] < 0 else "open"
        found[task] = {
            "together": float(np.mean(figures)),
            "alone": float(np.mean(alone[task])),
            **gain,
            "verdict": verdict,
        }
    return found


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


def gradient_grams(network: MultiTaskNetwork, data: Dataset, rows: Ints, slots: int = 1024) -> Floats:
    """(batches, tasks, tasks) products of the tasks' gradients (`gradients.py`) on exposure `rows`, without dropout."""

    @tf.function
    def gram(batch: Any) -> Any:
        return measure(network, batch, training=False, with_gram=True).gram

    return np.stack([gram(batch).numpy() for _, batch in _batches(network, data, rows, slots)(seed=(0,))])


def expert_use(network: MultiTaskNetwork, data: Dataset, rows: Ints, slots: int = 1024) -> Floats:
    """(tasks, experts) mean weight of each expert for each task, over exposure `rows`.

    Raises:
        TriadError: the body has no gates.
    """
    if not hasattr(network.body, "mix"):
        raise TriadError(
            f"{network.get_config()['body']} has no gates", where="finetune.body", mend="ask mmoe, ple or stem"
        )

    @tf.function
    def used(batch: Any) -> Any:
        read, _ = network.features(network.represent(batch), batch)
        return tf.einsum("n,nte->te", batch["mask"], tf.cast(network.body.mix(read)[1], tf.float32))

    return np.sum([used(batch).numpy() for _, batch in _batches(network, data, rows, slots)()], axis=0) / len(rows)


def _batches(network: MultiTaskNetwork, data: Dataset, rows: Ints, slots: int) -> Batches:
    seen, places = data.exposures, [data.meta.tasks["exposures"].index(name) for name in network.tasks]
    return Batches(
        data,
        seen.user[rows],
        seen.history[rows],
        seen.item[rows],
        max_steps=network.trunk.max_steps,
        slots=min(slots, len(rows)),
        columns={"context": seen.context[rows], "labels": np.asarray(seen.labels[rows])[:, places]},
    )
