"""The loss of the best constant on each task: a common scale for losses in different units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from triad.arrays import Floats
from triad.examples.dataset import Dataset
from triad.kinds import KINDS

Number = TypeVar("Number", float, Floats)


def naive_losses(data: Dataset, tasks: Mapping[str, Mapping[str, Any]], split: str) -> dict[str, float]:
    """Each task's loss on `split` of the best constant of the train split; tasks without a label there are left out."""
    losses: dict[str, float] = {}
    for name, task in tasks.items():
        unit = data.unit_of(name)
        known, labels = (_present(data.labels(name)[data.rows(each, unit)]) for each in ("train", split))
        if not len(labels):
            continue
        losses[name] = KINDS[task["kind"]].naive_loss(known, labels, task)
    return losses


def relative(loss: Number, naive: float) -> Number:
    """The loss as a share of the best constant's, so that no task's unit decides in a mean over tasks."""
    return loss / max(naive, 1e-9)


def task_weight(labels: float) -> float:
    """A task's weight in that mean: the noise of a task with few labels decides little."""
    return labels**0.5


def _present(labels: Floats) -> Floats:
    labels = np.asarray(labels, np.float64)
    return labels[~np.isnan(labels)]
