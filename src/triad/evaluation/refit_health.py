"""Does the refitted model still answer as its evaluated twin does? What keeps it from serving if not. Pure.

The gate judges the twin, since the refitted model has learned the test days. Here both answer the same rows and lists,
each from its own reading of the tables. Figures of quality on these days would flatter the refitted one, so what is
compared is agreement: order, level, calibration, and how much of the lists goes to new items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from triad.arrays import Floats, Ints
from triad.config.refit import HealthLimits
from triad.config.tasks import TaskParams
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Queries
from triad.fusion.fused import Fused
from triad.kinds import KINDS
from triad.kinds.base import Cases, Kind
from triad.kinds.multiclass import by_class
from triad.statistics.bootstrap import draw, value
from triad.texts import Texts

CUT = 10
"""First places of a list."""

CELLS = 20_000_000
"""(list, item) scores that are compared at most."""

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Side:
    """A model and its own reading of the night's tables."""

    fused: Fused
    data: Dataset
    known: Texts  # ids of the items it learned from often enough


def figures(twin: Side, refitted: Side, tasks: Mapping[str, TaskParams], limits: HealthLimits, seed: int) -> Figures:
    """Task → name → figure. What only `refitted` knows is left out of all but `new_items`."""
    result: Figures = {}
    for unit in twin.data.meta.tasks:
        rows = _some(twin.data.rows("test", unit), limits.rows, seed)
        key = str(UNITS[unit].key)
        places = getattr(refitted.data.units[unit], key).places(getattr(twin.data.units[unit], key)[rows])
        rows, places = rows[places >= 0], places[places >= 0]
        before = twin.fused.predict(twin.data, rows, unit=unit)
        after = refitted.fused.predict(refitted.data, places, unit=unit)
        for task in before if len(rows) else ():
            labels = np.asarray(twin.data.labels(task), np.float64)[rows]
            if names := twin.data.meta.classes.get(task):  # of another night there may be more, or fewer
                after[task] = by_class(after[task], refitted.data.meta.classes[task], names)
            result[task] = _agreement(KINDS[tasks[task].kind], labels, before[task], after[task])
            errors = [_calibration_error(tasks[task], labels, scores) for scores in (before[task], after[task])]
            if errors[0] is not None and errors[1] is not None:
                result[task] |= {"calibration_error": errors[1], "twin_calibration_error": errors[0]}
    if twin.fused.ranking is not None:
        result[twin.fused.ranking] = _lists(twin, refitted, limits.rows, seed)
    return result


def doubts(of: Figures, limits: HealthLimits) -> list[str]:
    """What speaks against letting the refitted model serve, a sentence each."""
    sentences = []
    for task, of_task in of.items():
        worse = of_task.get("calibration_error", 0.0) - of_task.get("twin_calibration_error", 0.0)
        for beyond, what, figure, limit in (
            (of_task["rank_correlation"] < limits.min_rank_correlation, "rank correlation", of_task["rank_correlation"],
             f"below {limits.min_rank_correlation:g}"),
            (of_task.get("drift", 0.0) > limits.max_drift, "drift of scores", of_task.get("drift", 0.0),
             f"above {limits.max_drift:g}"),
            (worse > limits.max_calibration_loss, "calibration error", worse,
             f"more than {limits.max_calibration_loss:g} above"),
            (of_task.get("new_items", 0.0) > limits.max_new_items, "share of new items in lists",
             of_task.get("new_items", 0.0), f"above {limits.max_new_items:g}"),
        ):  # fmt: skip
            if beyond:
                sentences.append(
                    f"{task}: the model refitted on all days does not answer as the evaluated one: {what} "
                    f"{figure:.3f}, {limit}"
                )
    return sentences


def _agreement(kind: Kind, labels: Floats, before: Floats, after: Floats) -> dict[str, float]:
    """Of scores (n, *shape): the mean rank correlation of their columns, and the drift: the mean over columns, by how
    often each is given, or the largest where scores are no shares.

    Drift is the change of the mean score beyond two standard errors of it, in standard deviations of what is predicted:
    distances between distributions would call two constants, however near, as different as can be.
    """
    columns = [np.asarray(scores, np.float64).reshape(len(scores), -1) for scores in (before, after)]
    mean = columns[0].mean(axis=0)
    known = labels[np.isfinite(labels)]
    predicted = known if len(known) else columns[0]  # labels may be few, and all outside of the sample
    spread = np.sqrt(mean * (1 - mean)) if kind.is_classification else np.full(len(mean), predicted.std())
    moved = np.abs(columns[1].mean(axis=0) - mean)
    moved = np.maximum(moved - 2 * (columns[1] - columns[0]).std(axis=0) / np.sqrt(len(before)), 0)
    drift = moved / np.maximum(spread, 1e-9)
    return {
        "rank_correlation": float(np.mean([_correlation(*pair) for pair in zip(*(c.T for c in columns), strict=True)])),
        "drift": float(np.average(drift, weights=mean + 1e-12) if kind.is_classification else drift.max()),
    }


def _correlation(first: Floats, second: Floats) -> float:
    """Spearman's; two constants agree, one does not agree with what varies."""
    ranks = [rankdata(values) for values in (first, second)]
    spread = [float(np.ptp(values)) for values in ranks]
    if not all(spread):
        return float(not any(spread))
    return float(np.corrcoef(*ranks)[0, 1])


def _calibration_error(task: TaskParams, labels: Floats, scores: Floats) -> float | None:
    known = np.isfinite(labels)
    kind = KINDS[task.kind]
    if not known.any() or not kind.enough(labels[known]):
        return None
    constant = np.repeat(kind.constant(labels[known], scores.shape[1] if scores.ndim > 1 else 0)[None], known.sum(), 0)
    cases = Cases(labels[known], constant, np.arange(known.sum()), draw(int(known.sum()), 1, 0))
    measured = kind.measure(cases, scores[known], is_naive=False, threshold=None)
    return value(measured["calibration_error"]) if "calibration_error" in measured else None


def _lists(twin: Side, refitted: Side, most: int, seed: int) -> dict[str, float]:
    """Of the lists that customers would be shown now."""
    offsets = np.asarray(twin.data.streams.offsets)
    history, items = np.diff(offsets), len(twin.data.items.item_id)
    users = _some(np.flatnonzero(history > 0), min(most, max(CELLS // max(items, 1), 1)), seed)
    is_new = (twin.known.places(twin.data.items.item_id) < 0) & (refitted.known.places(twin.data.items.item_id) >= 0)
    now = np.full(len(users), twin.data.meta.windows["test"][1])
    queries = Queries(users, history[users], now)
    before, after = (side.fused.ranker(side.data).rank(queries) for side in (twin, refitted))
    tops = [np.argsort(-scores, axis=1, kind="stable")[:, :CUT] for scores in (before, after)]
    kept = [len(np.intersect1d(*pair)) / max(len(pair[0]), 1) for pair in zip(*tops, strict=True)]
    return {
        "rank_correlation": float(np.mean([_correlation(*pair) for pair in zip(before, after, strict=True)])),
        "lists_kept": float(np.mean(kept)),
        "new_items": float(is_new[tops[1]].mean()),
        "twin_new_items": float(is_new[tops[0]].mean()),
    }


def _some(rows: Ints, most: int, seed: int) -> Ints:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
