"""Turns scores into the plain numbers that `metrics.json`, the plots' CSV files and the report share. Pure.

One number is computed in one place: the report reads these tables and computes nothing of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.config.evaluate import EvaluateParams
from triad.evaluation.assess import CHAMPION, FUSED, NAIVE, ORACLE, TaskResult
from triad.evaluation.gate import Comparison
from triad.evaluation.window import Scored, Window
from triad.examples.dataset import Dataset
from triad.kinds import KINDS, find_metric
from triad.statistics.bootstrap import Estimate, interval, normal_interval, value

Rows = list[dict[str, Any]]

NOT_MEMBERS = (FUSED, NAIVE, ORACLE, CHAMPION)

_DEEPEST = 50  # length up to which lists are compared


def metrics_json(results: Mapping[str, TaskResult], params: EvaluateParams, best: Mapping[str, str]) -> dict[str, Any]:
    """task → metric → {value, lo, hi} of the fused model, and what stands beside its primary metric.

    Args:
        best: task → the member that was best alone on the fusion window.
    """
    return {name: _task_numbers(result, params, best.get(name)) for name, result in results.items()}


def _task_numbers(result: TaskResult, params: EvaluateParams, best: str | None) -> dict[str, Any]:
    models, primary = result.models, result.primary
    numbers: dict[str, Any] = {"rows": result.rows}
    for metric, estimate in models[FUSED].items():
        numbers[metric] = _bounds(estimate, params.confidence, metric)
    for model in (NAIVE, ORACLE, CHAMPION):
        if model in models:
            numbers[model] = _finite({metric: value(estimate) for metric, estimate in models[model].items()})
            if model != ORACLE:
                numbers[f"gain_over_{model}"] = _gain(result.difference(FUSED, model), params.confidence)
    if ORACLE in models:
        lost = models[ORACLE][primary] - models[NAIVE][primary]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(lost > 0, result.difference(FUSED, NAIVE) / lost, np.nan)
        numbers["oracle_share"] = _bounds(share, params.confidence)
    numbers["members"] = _finite(
        {m: value(estimates[primary]) for m, estimates in models.items() if m not in NOT_MEMBERS}
    )
    if best is not None and best in models:
        numbers["gain_over_best_member"] = _gain(result.difference(FUSED, best), params.confidence)
    return {key: entry for key, entry in numbers.items() if entry != {}}


def models_rows(results: Mapping[str, TaskResult], params: EvaluateParams) -> Rows:
    """task, metric, model, value, lo, hi: every model on every metric that is defined."""
    return [
        {"task": name, "metric": metric, "model": model, **bounds}
        for name, result in results.items()
        for model, estimates in result.models.items()
        for metric, estimate in estimates.items()
        if (bounds := _bounds(estimate, params.confidence, metric))
    ]


def slices_rows(results: Mapping[str, TaskResult], params: EvaluateParams) -> Rows:
    """task, group, slice, rows, metric, value, lo, hi, champion, champion_lo, champion_hi.

    Figures are empty where a slice is too small to judge, or there is no champion.
    """
    rows: Rows = []
    for name, result in results.items():
        for part in result.slices:
            start = {"task": name, "group": part.group, "slice": part.name, "rows": part.rows, "metric": result.primary}
            own, theirs = (
                _bounds(part.primary[model], params.confidence) if model in part.primary else {}
                for model in (FUSED, CHAMPION)
            )
            names = {"value": CHAMPION, "lo": f"{CHAMPION}_lo", "hi": f"{CHAMPION}_hi"}
            empty: Mapping[str, Any] = dict.fromkeys(names, "")
            rows.append({**start, **(own or empty), **{names[key]: n for key, n in (theirs or empty).items()}})
    return rows


def curve_rows(data: Dataset, results: Mapping[str, TaskResult], window: Window, fused: Scored) -> dict[str, Rows]:
    """Curve → task and the numbers of each of its points: "calibration" and "roc" of the fused scores of events."""
    rows: dict[str, Rows] = {"calibration": [], "roc": []}
    for name, result in results.items():
        kind = KINDS[result.task.kind]
        if kind.is_event and result.rows:
            labels = np.asarray(data.labels(name), np.float64)[window.of(data.unit_of(name))]
            known = np.isfinite(labels)
            curves = kind.curves(labels[known], np.asarray(fused.tasks[name], np.float64)[known])
            for curve, points in curves.items():
                rows[curve] += [{"task": name, **_plain(point)} for point in points]
    return rows


def ranking_rows(results: Mapping[str, TaskResult], window: Window, models: Mapping[str, Scored]) -> Rows:
    """task, model, k, hit: share of queries with a target among the first k, for k to 50."""
    names = [name for name, result in results.items() if KINDS[result.task.kind].ranks]
    rows: Rows = []
    for name in names if len(window.queries) else []:
        for model, scored in models.items():
            if scored.ranks is None:
                continue
            first = np.full(len(window.queries), np.iinfo(np.int64).max)
            np.minimum.at(first, window.query, scored.ranks)
            for k in range(1, _DEEPEST + 1):
                rows.append({"task": name, "model": model, "k": k, **_plain({"hit": np.mean(first <= k)})})
    return rows


def comparisons(results: Mapping[str, TaskResult], *, champion: bool) -> list[Comparison]:
    """What the gate weighs: the gated tasks, those the champion also does where there is one."""
    other, weighed = CHAMPION if champion else NAIVE, []
    for name, result in results.items():
        if not result.task.gated or other not in result.models:
            continue
        weighed.append(
            Comparison(
                task=name,
                metric=KINDS[result.task.kind].metrics[0].title,
                difference=result.difference(FUSED, other),
                calibration=result.models[FUSED].get("calibration_error"),
                slices={
                    part.name: part.primary[FUSED] - part.primary[CHAMPION]
                    for part in result.slices
                    if CHAMPION in part.primary
                },
            )
        )
    return weighed


def _bounds(estimate: Estimate, confidence: float, metric: str = "") -> dict[str, float]:
    known = find_metric(metric)
    low, high = interval(estimate, confidence, reflected=known is not None and known.is_pushed_up)
    return _all_or_nothing({"value": value(estimate), "lo": low, "hi": high})


def _gain(difference: Estimate, confidence: float) -> dict[str, float]:
    low, high = normal_interval(difference, confidence)
    return _all_or_nothing({"value": value(difference), "lo": low, "hi": high})


def _all_or_nothing(numbers: Mapping[str, float]) -> dict[str, float]:
    finite = _finite(numbers)
    return finite if len(finite) == len(numbers) else {}


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {key: rounded for key, rounded in _plain(numbers).items() if math.isfinite(rounded)}


def _plain(numbers: Mapping[str, Any]) -> dict[str, float]:
    # sums in another order differ in the last digits, and a diff of metrics should show none of that
    return {key: each if isinstance(each, int) else float(f"{float(each):.9g}") for key, each in numbers.items()}
