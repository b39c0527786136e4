"""The loss of the best constant on each task: a common scale for losses in different units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triad.features.dataset import Dataset, Floats, Ints
from triad.kinds import KINDS


def naive_losses(data: Dataset, tasks: Mapping[str, Mapping[str, Any]], rows: Ints) -> dict[str, float]:
    """Each task's loss on `rows` of the best constant of the train split; tasks without a label there are left out."""
    losses: dict[str, float] = {}
    train = data.rows("train")
    for name, task in tasks.items():
        known, labels = (_present(data.labels(name)[each]) for each in (train, rows))
        if not len(labels):
            continue
        losses[name] = KINDS[task["kind"]].naive_loss(known, labels, task)
    return losses


def relative_loss(losses: Floats, counts: Sequence[float], naive: Sequence[float]) -> Floats:
    """(…,) mean over tasks of loss (…, tasks) relative to the best constant's.

    Relative to a constant, no task's unit decides when to stop; weighted by the square root of its labels, neither
    does the noise of a task that has few.

    Args:
        counts: labels of each task.
        naive: the best constant's loss of each task.
    """
    return np.average(losses / np.maximum(naive, 1e-9), axis=-1, weights=[count**0.5 for count in counts])


def _present(labels: Floats) -> Floats:
    labels = np.asarray(labels, np.float64)
    return labels[~np.isnan(labels)]
