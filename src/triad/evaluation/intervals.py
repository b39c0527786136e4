"""Do intervals hold the truth as often as they say, on the test window: of all rows, and of each third of the label?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.evaluation.window import Window
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.statistics import conformal

THIRDS = ("lowest", "middle", "highest")


def intervals(fused: Fused, data: Dataset, window: Window, scores: Mapping[str, Floats]) -> dict[str, Any]:
    """Task → rows, level, coverage (of all, and of thirds of the test labels), and the middle width. Where many labels
    are alike, a third may be empty and is left out.

    Args:
        scores: of the fusion, by task.
    """
    figures = {}
    for task, interval in fused.intervals.items():
        label = np.asarray(data.labels(task), np.float64)[window.of(data.unit_of(task))]
        known = np.isfinite(label)
        label, score = label[known], np.asarray(scores[task], np.float64)[known]
        low, high = conformal.bounds(interval, score)
        inside = (low <= label) & (label <= high)
        third = conformal.part_of(label, np.quantile(label, (1 / 3, 2 / 3)))
        held = {name: inside[third == n] for n, name in enumerate(THIRDS)}
        of_thirds = {f"coverage_{name}": float(each.mean()) for name, each in held.items() if len(each)}
        width = float(np.median(high - low))
        whole = {"rows": len(label), "level": interval["level"], "coverage": float(inside.mean()), "width": width}
        figures[task] = whole | of_thirds
    return figures


def sentences(figures: Mapping[str, Any]) -> list[str]:
    """The figures for the report's reader."""
    told = []
    for task, each in figures.items():
        by_name = {name: each.get(f"coverage_{name}") for name in THIRDS}
        thirds = ", ".join(f"{name} {value:.1%}" for name, value in by_name.items() if value is not None)
        told.append(
            f"{task}: the interval that goes with each prediction is to hold {each['level']:.0%} of true values, and "
            f"held {each['coverage']:.1%} of {each['rows']:,} (by third of the true value: {thirds})."
        )
    return told
