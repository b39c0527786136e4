"""Each validation row's share of the stopping loss, by which the source gate compares two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.features.dataset import Dataset, Floats
from triad.models.naive import naive_losses
from triad.models.ranker import Ranker


def validation_rows(ranker: Ranker, data: Dataset) -> Floats:
    """(validation rows,) what each adds to the network's relative loss, by one scale for all networks."""
    rows, train = data.rows("validation"), data.rows("train")
    described = {name: dict(task) for name, task in ranker.network.tasks.items()}
    for name, task in described.items():
        if task["kind"] == "regression":
            task["scale"] = float(np.nanstd(np.asarray(data.labels(name)[train], np.float64))) or 1.0
    labels = np.stack([np.asarray(data.labels(name), np.float64)[rows] for name in described], axis=1)
    return relative_losses(ranker.predict(data, rows), labels, described, naive_losses(data, described, rows))


def relative_losses(
    scores: Mapping[str, Floats], labels: Floats, tasks: Mapping[str, dict[str, Any]], naive: Mapping[str, float]
) -> Floats:
    """(n,) each row's part in the mean over tasks of loss relative to the best constant's; their mean is that.

    Tasks weigh by the square root of their labels, as where training stops.

    Args:
        scores: of each task, as a member gives them.
        labels: (n, tasks) in the order of `tasks`, NaN where missing.
        tasks: each with its kind, and for a regression its scale.
        naive: the best constant's loss of the tasks that count.
    """
    total, weight = np.zeros(len(labels)), 0.0
    for place, (name, task) in enumerate(tasks.items()):
        if name not in naive:
            continue
        known = np.flatnonzero(~np.isnan(labels[:, place]))
        loss = _loss(task, scores[name][known], labels[known, place])
        total[known] += len(known) ** 0.5 * loss / max(naive[name], 1e-9) * len(labels) / len(known)
        weight += len(known) ** 0.5
    return total / weight


def _loss(task: Mapping[str, Any], scores: Floats, labels: Floats) -> Floats:
    if task["kind"] == "regression":
        return np.abs(scores - labels) / task["scale"]
    if task["kind"] == "multiclass":
        chosen = scores[np.arange(len(scores)), labels.astype(int)]
    else:
        chosen = np.where(labels > 0, scores, 1 - scores)
    return -np.log(np.maximum(chosen, 1e-7))
