"""Prediction intervals of a stated coverage, from residuals of rows that no model learned from.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018), Mondrian by thirds of the label (Vovk,
"Conditional validity of inductive conformal predictors", ACML 2012): cheap, middling and dear rows each have bounds of
their own, so each third is covered, and not the middle alone. A value is in a row's interval if its own third's bounds
hold it; what lies between two such parts is too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints

PARTS = 3


def fewest(level: float) -> int:
    """Rows without which no two-sided interval can hold the truth of another row that often."""
    return round(2 / (1 - level)) - 1


def fit(scores: Floats, labels: Floats, level: float) -> dict[str, Any]:
    """As JSON holds it: `level`, the `edges` between thirds, and of each third the `low` and `high` residual.

    What lies between two thirds' parts of an interval is covered besides. So each third's part shrinks, a residual a
    step on either side, while the interval still holds the level of that third's rows. Where a third would have fewer
    than `fewest` rows there are two parts, or one.

    Args:
        scores, labels: (n,) of rows that the scores' model has not seen.
    """
    cuts = max(1, min(PARTS, len(labels) // fewest(level)))
    edges = np.unique(np.quantile(labels, np.arange(1, cuts) / cuts))
    edges = edges[edges > labels.min()]  # many labels may be alike: no part is empty
    parts, tail = part_of(labels, edges), (1 - level) / 2
    residuals = [np.sort((labels - scores)[parts == part]) for part in range(len(edges) + 1)]
    # of n residuals and the one to come, tail · (n + 1) lie outside on either side
    rank = [min(max(1, int(np.floor(tail * (len(each) + 1)))), len(each)) for each in residuals]

    def made() -> dict[str, Any]:
        low = [float(each[at - 1]) for each, at in zip(residuals, rank, strict=True)]
        high = [float(each[-at]) for each, at in zip(residuals, rank, strict=True)]
        return {"level": level, "edges": edges.tolist(), "low": low, "high": high}

    def holds(part: int) -> bool:
        low, high = bounds(made(), scores)
        inside = ((low <= labels) & (labels <= high))[parts == part]
        return bool(inside.sum() >= level * (len(inside) + 1))

    shrinks = list(range(len(residuals)))
    while shrinks:
        for part in list(shrinks):
            step = max(1, len(residuals[part]) // 200)
            rank[part] += step
            if 2 * rank[part] > len(residuals[part]) or not all(map(holds, range(len(residuals)))):
                rank[part] -= step
                shrinks.remove(part)
    return made()


def bounds(interval: Mapping[str, Any], scores: Floats) -> tuple[Floats, Floats]:
    """(n,) lowest and highest value that belong to each score."""
    edges: Sequence[float] = [-np.inf, *interval["edges"], np.inf]
    lowest, highest = np.full(len(scores), np.inf), np.full(len(scores), -np.inf)
    for part in range(len(interval["low"])):
        low = np.maximum(scores + interval["low"][part], edges[part])
        high = np.minimum(scores + interval["high"][part], edges[part + 1])
        held = low <= high
        lowest[held] = np.minimum(lowest, low)[held]
        highest[held] = np.maximum(highest, high)[held]
    # no third may hold a value near it: then it is the score alone
    return np.minimum(lowest, scores), np.maximum(highest, scores)


def part_of(labels: Floats, edges: Sequence[float] | Floats) -> Ints:
    """(n,) third of each label."""
    return np.searchsorted(np.asarray(edges), labels, side="right")
