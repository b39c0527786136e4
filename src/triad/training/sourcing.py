"""Each validation row's share of the stopping loss, by which the source gate compares two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.examples.dataset import Dataset
from triad.features.dataset import Floats
from triad.kinds import KINDS
from triad.members.network import Ranker
from triad.models.naive import naive_losses, relative, task_weight


def validation_rows(ranker: Ranker, data: Dataset) -> Floats:
    """(validation rows,) what each adds to the network's relative loss, by one scale for all networks."""
    rows, train = data.rows("validation"), data.rows("train")
    described = {name: dict(task) for name, task in ranker.network.tasks.items()}
    for name, task in described.items():
        known = np.asarray(data.labels(name)[train], np.float64)
        task["scale"] = KINDS[task["kind"]].scaling(known[~np.isnan(known)])[1]
    labels = np.stack([np.asarray(data.labels(name), np.float64)[rows] for name in described], axis=1)
    return relative_losses(ranker.predict(data, rows), labels, described, naive_losses(data, described, rows))


def relative_losses(
    scores: Mapping[str, Floats], labels: Floats, tasks: Mapping[str, dict[str, Any]], naive: Mapping[str, float]
) -> Floats:
    """(n,) each row's part in the mean over tasks of loss relative to the best constant's; their mean is that.

    Args:
        scores: of each task, as a member gives them.
        labels: (n, tasks) in the order of `tasks`, NaN where missing.
        tasks: each with its kind and scale.
        naive: the best constant's loss of the tasks that count.
    """
    total, weight = np.zeros(len(labels)), 0.0
    for name, constant in naive.items():
        label, kind = labels[:, list(tasks).index(name)], KINDS[tasks[name]["kind"]]
        known = np.flatnonzero(~np.isnan(label))
        contribution = kind.contribution(scores[name][known], label[known])
        loss = kind.row_loss(contribution, label[known], least=1e-7) / tasks[name]["scale"]
        total[known] += relative(task_weight(len(known)) * loss, constant) * len(labels) / len(known)
        weight += task_weight(len(known))
    return total / weight
