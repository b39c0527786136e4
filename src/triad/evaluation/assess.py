"""Scores every model on every task, with the same resamples for all comparisons. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.evaluate import EvaluateParams
from triad.config.tasks import TaskParams
from triad.evaluation.window import Scored, Slice, Window
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.kinds.base import Cases
from triad.ranking import ranking_values
from triad.statistics.bootstrap import Estimate, draw
from triad.tasks import LABELS

FUSED, NAIVE, ORACLE, CHAMPION = "fused", "naive", "oracle", "champion"
"""Names of models that are no members."""


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
        return KINDS[self.task.kind].metrics[0].name

    def difference(self, model: str, other: str, metric: str | None = None) -> Estimate:
        """Paired difference, model less other."""
        metric = metric or self.primary
        return self.models[model][metric] - self.models[other][metric]


def assess(
    data: Dataset,
    tasks: Mapping[str, TaskParams],
    window: Window,
    models: Mapping[str, Scored],
    *,
    parts: Sequence[Slice],
    thresholds: Mapping[str, float],
    params: EvaluateParams,
) -> dict[str, TaskResult]:
    """The result of each task, in the order of `tasks`. `models` must hold `fused` and `naive`; any may lack tasks."""
    draws = {
        "user": draw(window.users, params.bootstrap, params.seed),
        "item": draw(window.items, params.bootstrap, params.seed + 1),
    }
    results = {}
    for name, task in tasks.items():
        label, kind = LABELS[task.label], KINDS[task.kind]
        about = [part for part in parts if part.group in label.slices]
        if kind.ranks:
            values = {m: ranking_values(r, window.query, len(window.queries), params.k) for m, r in _ranks(models)}
            labels, cluster = np.zeros(len(window.queries)), window.query_user
            sliced = [(part, part.queries) for part in about]
        else:
            values = {m: np.asarray(scored.tasks[name]) for m, scored in models.items() if name in scored.tasks}
            labels = np.asarray(data.labels(name), np.float64)[window.of(label.unit)]
            cluster = window.cluster(data, label.unit, label.cluster)
            sliced = [(part, part.rows) for part in about if label.unit == "exposures"]
            sliced += window.slices(data, label.unit)
        if label.unit in window.beside:
            drawn = draw(int(cluster.max(initial=-1)) + 1, params.bootstrap, params.seed + 2)
        else:
            drawn = draws[label.cluster]
        cases = Cases(labels, values[NAIVE], cluster, drawn)
        results[name] = _result(
            name, task, cases, values, sliced, threshold=thresholds.get(name), fewest=params.min_slice_rows
        )
    return results


def _result(
    name: str,
    task: TaskParams,
    cases: Cases,
    values: Mapping[str, Floats],
    sliced: Sequence[tuple[Slice, Bools]],
    *,
    threshold: float | None,
    fewest: int,
) -> TaskResult:
    kind, known = KINDS[task.kind], np.isfinite(cases.labels)
    shown = [model for model in (FUSED, CHAMPION) if model in values]
    slices = []
    for part, inside in sliced:
        rows = inside & known
        enough = rows.sum() >= fewest and kind.enough(cases.labels[rows])
        primary = {model: kind.gated(cases[rows], values[model][rows]) for model in shown} if enough else {}
        slices.append(SliceResult(part.group, part.name, int(rows.sum()), primary))

    def measure(model: str) -> dict[str, Estimate]:
        bar = threshold if model == FUSED else None
        return kind.measure(cases[known], values[model][known], is_naive=model == NAIVE, threshold=bar)

    return TaskResult(
        name=name,
        task=task,
        rows=int(known.sum()),
        clusters=len(np.unique(cases.cluster[known])),
        models={model: measure(model) for model in values},
        slices=slices,
        threshold=threshold,
    )


def _ranks(models: Mapping[str, Scored]) -> Iterator[tuple[str, Ints]]:
    return ((model, scored.ranks) for model, scored in models.items() if scored.ranks is not None)
