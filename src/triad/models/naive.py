"""The loss of the best constant on each task: a common scale for losses in different units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.features.dataset import Dataset, Floats, Ints


def naive_losses(data: Dataset, tasks: Mapping[str, Mapping[str, Any]], rows: Ints) -> dict[str, float]:
    """Each task's loss on `rows` of the best constant of the train split; tasks without a label there are left out.

    The constant is the label's rate, its classes' shares, or its median; add-one smoothing keeps the loss finite.
    """
    found: dict[str, float] = {}
    train = data.rows("train")
    for name, task in tasks.items():
        known, asked = (_present(data.labels(name)[each]) for each in (train, rows))
        if not len(asked):
            continue
        if task["kind"] == "regression":
            found[name] = float(np.abs(asked - task["mean"]).mean() / task["scale"])
            continue
        counts = 1 + np.bincount(known.astype(int), minlength=len(task["classes"]) or 2)
        found[name] = float(-np.log(counts / counts.sum())[asked.astype(int)].mean())
    return found


def _present(labels: Floats) -> Floats:
    labels = np.asarray(labels, np.float64)
    return labels[~np.isnan(labels)]
