"""Each validation row's share of the stopping loss, by which the source gate compares two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.network import NetworkScorer
from triad.models.naive import naive_losses, relative, task_weight


def validation_rows(ranker: NetworkScorer, data: Dataset) -> Floats:
    """(validation rows,) what each adds to the network's relative loss, by one scale for all networks.

    The rows of a network's units follow one another.
    """
    described = {name: dict(task) for name, task in ranker.described.items()}
    rows = {unit: data.rows("validation", unit) for unit in ranker.units}
    total, begin = sum(map(len, rows.values())), 0
    labels = np.full((total, len(described)), np.nan)
    scores: dict[str, Floats] = {}
    for unit, names in ranker.units.items():
        place = slice(begin, begin + len(rows[unit]))
        begin = place.stop
        for name, values in ranker.predict(data, rows[unit], unit=unit).items():
            scores[name] = np.zeros((total, *values.shape[1:]), values.dtype)
            scores[name][place] = values
        for name in names:
            known = np.asarray(data.labels(name), np.float64)
            labels[place, list(described).index(name)] = known[rows[unit]]
            known = known[data.rows("train", unit)]
            described[name]["scale"] = KINDS[described[name]["kind"]].scaling(known[~np.isnan(known)])[1]
    return relative_losses(scores, labels, described, naive_losses(data, described, "validation"))


def clusters(ranker: NetworkScorer, data: Dataset) -> Ints:
    """(validation rows,) whose each row of `validation_rows` is: its user's, or of a unit without users its own."""
    groups: list[Ints] = []
    for unit in ranker.units:
        rows = data.rows("validation", unit)
        user = getattr(data.units[unit], "user", None)
        own = -1 - np.arange(sum(map(len, groups)), sum(map(len, groups)) + len(rows))
        groups.append(own if user is None else np.asarray(user)[rows])
    return np.concatenate(groups)


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
