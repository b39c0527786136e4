"""Scores every model on every task, with the same resamples for all comparisons. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triad.config.evaluate import EvaluateParams
from triad.config.tasks import TaskParams
from triad.evaluation.window import Scored, Slice, Window
from triad.examples.dataset import Dataset
from triad.features.dataset import Bools, Floats, Ints
from triad.ranking import ranking_values
from triad.statistics import metrics
from triad.statistics.bootstrap import Draws, Estimate, draw
from triad.tasks import LABELS

FUSED, NAIVE, ORACLE, CHAMPION = "fused", "naive", "oracle", "champion"
"""Names of models that are no members."""

_FEWEST = 10  # of the rarer class: below, an AUC says nothing


@dataclass(frozen=True)
class SliceResult:
    """A part of the window. `primary` is empty where it is too small to judge."""

    group: str
    name: str
    rows: int
    primary: Mapping[str, Estimate]  # model → estimate


@dataclass(frozen=True)
class TaskResult:
    """One task's evidence."""

    name: str
    task: TaskParams
    rows: int  # labelled exposures, or queries
    clusters: int
    models: Mapping[str, Mapping[str, Estimate]]  # model → metric → estimate
    slices: Sequence[SliceResult]
    threshold: float | None = None

    @property
    def primary(self) -> str:
        """The metric that is gated."""
        return metrics.PRIMARY[self.task.kind]

    def difference(self, model: str, other: str, metric: str | None = None) -> Estimate:
        """Paired difference, model less other."""
        metric = metric or self.primary
        return self.models[model][metric] - self.models[other][metric]


def assess(
    data: Dataset,
    tasks: Mapping[str, TaskParams],
    asked: Window,
    models: Mapping[str, Scored],
    *,
    parts: Sequence[Slice],
    thresholds: Mapping[str, float],
    params: EvaluateParams,
) -> dict[str, TaskResult]:
    """The result of each task, in the order of `tasks`. `models` must hold `fused` and `naive`; any may lack tasks."""
    draws = {
        "user": draw(asked.users, params.bootstrap, params.seed),
        "item": draw(asked.items, params.bootstrap, params.seed + 1),
    }
    found = {}
    for name, task in tasks.items():
        label = LABELS[task.label]
        about = [part for part in parts if part.group in label.slices]
        if task.kind == "ranking":
            found[name] = _ranking(name, task, asked, models, parts=about, params=params, draws=draws[label.cluster])
        else:
            labels = np.asarray(data.labels(name), np.float64)[asked.rows]
            found[name] = _pointwise(
                name,
                task,
                labels,
                models,
                parts=about,
                params=params,
                threshold=thresholds.get(name),
                cluster=getattr(asked, label.cluster),
                draws=draws[label.cluster],
            )
    return found


def _pointwise(
    name: str,
    task: TaskParams,
    labels: Floats,
    models: Mapping[str, Scored],
    *,
    parts: Sequence[Slice],
    params: EvaluateParams,
    threshold: float | None,
    cluster: Ints,
    draws: Draws,
) -> TaskResult:
    known = np.isfinite(labels)
    able = {model: np.asarray(scored.tasks[name]) for model, scored in models.items() if name in scored.tasks}
    naive = able[NAIVE]

    def measure(model: str, rows: Bools) -> dict[str, Estimate]:
        truth, said, of = labels[rows], able[model][rows], cluster[rows]
        if task.kind == "binary":
            return metrics.binary(truth, said, of, draws, threshold if model == FUSED else None)
        if task.kind == "multiclass":
            return metrics.multiclass(truth, said, of, draws, guess=model == NAIVE)
        return metrics.regression(truth, said, naive[rows], of, draws)

    def primary(model: str, rows: Bools) -> Estimate:
        if task.kind == "binary":  # the one metric of many that a slice needs
            return metrics.auc(labels[rows] > 0.5, able[model][rows], cluster[rows], draws)
        return measure(model, rows)[metrics.PRIMARY[task.kind]]

    def large_enough(rows: Bools) -> bool:
        if rows.sum() < params.min_slice_rows:
            return False
        positives = int((labels[rows] > 0.5).sum())
        return task.kind != "binary" or min(positives, int(rows.sum()) - positives) >= _FEWEST

    shown = [m for m in (FUSED, CHAMPION) if m in able]
    sliced = []
    for part in parts:
        rows = part.rows & known
        results = {m: primary(m, rows) for m in shown} if large_enough(rows) else {}
        sliced.append(SliceResult(part.group, part.name, int(rows.sum()), results))
    return TaskResult(
        name=name,
        task=task,
        rows=int(known.sum()),
        clusters=len(np.unique(cluster[known])),
        models={model: measure(model, known) for model in able},
        slices=sliced,
        threshold=threshold,
    )


def _ranking(
    name: str,
    task: TaskParams,
    asked: Window,
    models: Mapping[str, Scored],
    *,
    parts: Sequence[Slice],
    params: EvaluateParams,
    draws: Draws,
) -> TaskResult:
    queries = len(asked.queries)
    values = {m: ranking_values(r, asked.query, queries, params.k) for m, r in _ranks(models)}

    def measure(model: str, chosen: Bools) -> dict[str, Estimate]:
        return metrics.ranking(values[model][chosen], asked.query_user[chosen], draws)

    primary = metrics.PRIMARY["ranking"]
    shown = [m for m in (FUSED, CHAMPION) if m in values]
    sliced = []
    for part in parts:
        rows = int(part.queries.sum())
        results = {m: measure(m, part.queries)[primary] for m in shown} if rows >= params.min_slice_rows else {}
        sliced.append(SliceResult(part.group, part.name, rows, results))
    everything = np.ones(queries, bool)
    return TaskResult(
        name=name,
        task=task,
        rows=queries,
        clusters=len(np.unique(asked.query_user)),
        models={model: measure(model, everything) for model in values},
        slices=sliced,
    )


def _ranks(models: Mapping[str, Scored]) -> Iterator[tuple[str, Ints]]:
    return ((model, scored.ranks) for model, scored in models.items() if scored.ranks is not None)
