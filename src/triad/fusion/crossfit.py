"""Measures each member and the gain of fusing on a task, on users that the fit left out.

Calibrations and weights are fitted on the fusion window. Losses on the same rows would flatter the fusion, so every
loss here is out of fold: users are dealt into folds, and a fold's rows are scored by what the other folds gave. The
gain over the best single member carries a bootstrap interval that draws whole users; where it does not clear zero,
the best single member serves.

Weights are fitted by likelihood, but lists are judged by where the target stands: a member can lift the one and harm
the other. So the fusions without one of the members are judged as well, and the best of them may serve; the interval
is then that of as many looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from triad.errors import TriadError
from triad.features.dataset import Floats, Ints
from triad.fusion.blends import Blend, convex_weights, log_choices, stacked_binary, stacked_classes, stacked_ranking
from triad.statistics.calibration import POWERS, Calibration, Kind, calibrate, fit_calibration


@dataclass(frozen=True)
class Mix:
    """What one fold's fit made of the members: of all, and of all but one."""

    calibrations: dict[str, Calibration]
    blends: list[Blend]


@dataclass(frozen=True)
class Judged:
    """What the answers are worth, more is better, where that is not the loss."""

    by: str
    alone: Floats  # (n, members)
    fused: Floats  # (n, blends)
    cluster: Ints  # (n,)
    likelihood: Floats | None = None  # (targets, blends) that the mixes gave to what happened


@dataclass(frozen=True)
class Question:
    """One task's rows on the fusion window, and every member's answer."""

    task: str
    kind: Kind
    scores: dict[str, Floats]  # member → as `fit_calibration` takes them
    target: Floats  # (n,) labels; for rankings each target's weight
    cluster: Ints  # (n,) who is drawn together
    judge: Callable[[list[Mix], Ints], Judged] | None = None  # of each fold's mix and each row's fold
    history: Ints | None = None  # (n,) interactions before; for weights by segment
    candidates: Floats | None = None  # (n, candidates, members) log probabilities, place 0 the target: to stack

    def take(self, rows: Ints) -> Question:
        scores = {name: values[rows] for name, values in self.scores.items()}
        return replace(
            self,
            scores=scores,
            target=self.target[rows],
            cluster=self.cluster[rows],
            history=None if self.history is None else self.history[rows],
            candidates=None if self.candidates is None else self.candidates[rows],
        )

    @property
    def steps(self) -> Ints:
        """(n,) `history`, 0 where it is not given."""
        return np.zeros(len(self.target), np.int64) if self.history is None else self.history

    @property
    def counts(self) -> Floats:
        """(n,) weight of each row in means."""
        return self.target if self.kind == "ranking" else np.ones(len(self.target))


@dataclass(frozen=True)
class Answer:
    """How a task is fused, and the evidence for it."""

    calibrations: dict[str, Calibration]
    blend: Blend
    weights: dict[str, float]  # the blend's, on average over rows
    record: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """How often, and how surely."""

    folds: int
    bootstrap: int
    confidence: float
    seed: int
    calibrate: bool = True
    combine: Literal["convex", "stacked"] = "convex"
    edges: tuple[int, ...] = ()  # histories from which a segment of its own begins


@threadpool_limits.wrap(limits=1)  # small matrices: threads would only wait for one another
def solve(question: Question, trial: Trial) -> Answer:
    """Calibrations, weights and their evidence for one task.

    Raises:
        TriadError: fewer than two users have a row.
    """
    names = list(question.scores)
    fold = _folds(question, trial)
    kept = _calibrations_that_help(question, fold) if trial.calibrate else dict.fromkeys(names, False)
    counts = question.counts

    groups = [names, *([name for name in names if name != out] for out in names if len(names) > 1)]
    columns = np.zeros((len(fold), len(names)))  # out-of-fold contributions, and what each group's blend makes of them
    fused = np.zeros((len(fold), len(groups)))
    mixes = []
    for k in range(int(fold.max()) + 1):
        fit, held = question.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)
        part = question.take(held)
        calibrations = _calibrations(fit, kept)
        columns[held] = _contributions(part, calibrations)
        blends = [_blend(fit, calibrations, group, trial) for group in groups]
        fused[held] = np.stack([_mixed(part, calibrations, blend, columns[held]) for blend in blends], axis=1)
        mixes.append(Mix(calibrations, blends))

    loss = "absolute error" if question.kind == "regression" else "log loss"
    losses, of_candidates = _loss(question, columns), _loss(question, fused)
    alone = np.average(losses, axis=0, weights=counts)
    if question.judge is None:
        judged, by_row, tried = Judged(loss, -losses, -of_candidates, question.cluster), counts, groups[:1]
    else:
        judged, tried = question.judge(mixes, fold), groups if len(names) > 2 else groups[:1]
        by_row = np.ones(len(judged.fused))
    best = int(np.argmax(np.average(judged.alone, axis=0, weights=by_row)))
    worth = np.average(judged.fused, axis=0, weights=by_row)
    chosen = max((g for g, group in enumerate(tried) if names[best] in group), key=lambda g: worth[g])
    gain = judged.fused[:, chosen] - judged.alone[:, best]
    low, high = _interval(gain, by_row, judged.cluster, trial, looks=max(len(tried) - 1, 1))
    fused_loss = (of_candidates if judged.likelihood is None else _loss(question, judged.likelihood))[:, chosen]

    calibrations = _calibrations(question, kept)
    fallback = len(names) > 1 and not low > 0
    if fallback:
        blend = Blend(({name: float(m == best) for m, name in enumerate(names)},))
    else:
        blend = _blend(question, calibrations, groups[chosen], trial)
    weights = blend.overall(question.steps)
    served = losses[:, best] if fallback else fused_loss
    record: dict[str, Any] = {
        "kind": question.kind,
        "loss": loss,
        "judged_by": judged.by,
        "rows": len(fold),
        "clusters": len(np.unique(question.cluster)),
        "best": names[best],
        "fused": float(np.average(fused_loss, weights=counts)),
        "served": float(np.average(served, weights=counts)),
        "gain": {"value": float(np.average(gain, weights=by_row)), "low": low, "high": high},
        "left_out": [name for name in names if name not in groups[chosen]],
        "fallback": fallback,
        "members": {},
    }
    costs = np.average(of_candidates[:, 1:] - of_candidates[:, :1], axis=0, weights=counts)
    for m, name in enumerate(names):
        cost = costs[m] if len(names) > 1 else None
        record["members"][name] = {
            "alone": float(alone[m]),
            "weight": weights[name],
            "is_calibrated": kept[name],
            "cost_of_leaving_out": None if cost is None else float(cost),
        }
    return Answer(calibrations, blend, weights, record)


def _folds(question: Question, trial: Trial) -> Ints:
    """(n,) fold of each row; a cluster's rows share one."""
    clusters, index = np.unique(question.cluster, return_inverse=True)
    if len(clusters) < 2:
        raise TriadError(
            f"rows of {len(clusters)} user(s), at least two are needed",
            where=f"task {question.task}, split fusion",
            mend="give features.split_days.fusion more days, or leave the task out",
        )
    dealt = np.random.default_rng(trial.seed).permutation(len(clusters)) % min(trial.folds, len(clusters))
    return dealt[index]


def _calibrations_that_help(question: Question, fold: Ints) -> dict[str, bool]:
    """Member → whether its calibration lowers its own out-of-fold loss."""
    helps = {}
    for name in question.scores:
        one = Question(question.task, question.kind, {name: question.scores[name]}, question.target, question.cluster)
        raw = _loss(one, _contributions(one, {name: None}))[:, 0]
        mapped = np.zeros(len(fold))
        for k in range(int(fold.max()) + 1):
            fit, held = one.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)
            part = one.take(held)
            mapped[held] = _loss(part, _contributions(part, _calibrations(fit, {name: True})))[:, 0]
        helps[name] = bool(one.counts @ (raw - mapped) > 0)
    return helps


def _calibrations(question: Question, kept: dict[str, bool]) -> dict[str, Calibration]:
    return {
        name: fit_calibration(question.kind, scores, question.target) if kept[name] else None
        for name, scores in question.scores.items()
    }


def _contributions(question: Question, calibrations: dict[str, Calibration]) -> Floats:
    """(n, members) what weights mix: the probability each gave to what happened, or its prediction."""
    if question.kind == "ranking":
        powers = (POWERS.index(_power(calibrations[name])) for name in question.scores)
        columns = [np.exp(scores[:, power]) for scores, power in zip(question.scores.values(), powers, strict=True)]
    else:
        columns = [_happened(question, values) for values in _calibrated(question, calibrations).values()]
    return np.stack(columns, axis=1)


def _blend(question: Question, calibrations: dict[str, Calibration], names: list[str], trial: Trial) -> Blend:
    """The blend of the members `names` that fits `question` best; the others have no weight."""
    if trial.combine == "convex" or question.kind == "regression":
        places = [list(question.scores).index(name) for name in names]
        columns = _contributions(question, calibrations)[:, places]
        segment = np.searchsorted(trial.edges, question.steps, side="right")
        rows = question.target, question.counts
        table = convex_weights(question.kind, columns, *rows, segment=segment, segments=len(trial.edges) + 1)
        return Blend(tuple(_named(question, names, row) for row in table), trial.edges)
    if question.kind == "ranking":
        slopes = stacked_ranking(_candidates(question, calibrations, names), question.counts)
        return Blend((_named(question, names, slopes),), bias=())
    scores = _calibrated(question, calibrations)
    stacked = np.stack([scores[name] for name in names], axis=-1)
    if question.kind == "binary":
        slopes, bias = stacked_binary(stacked, question.target)
    else:
        slopes, bias = stacked_classes(np.log(np.maximum(stacked, 1e-12)), question.target.astype(int))
    return Blend((_named(question, names, slopes),), bias=bias)


def _mixed(question: Question, calibrations: dict[str, Calibration], blend: Blend, columns: Floats) -> Floats:
    """(n,) what `blend` makes of the contributions `columns` of all members; stacked, a choice among candidates."""
    names = list(blend.weights[0])
    if blend.bias is None:
        table = np.array([[part.get(name, 0.0) for name in question.scores] for part in blend.weights])
        return np.sum(columns * table[blend.segment(question.steps)], axis=1)
    if question.kind == "ranking":
        slopes = np.array(list(blend.weights[0].values()))
        return np.exp(log_choices(_candidates(question, calibrations, names), slopes)[:, 0])
    scores = _calibrated(question, calibrations)
    return _happened(question, blend.mix(question.kind, {name: scores[name] for name in names}, question.steps))


def _candidates(question: Question, calibrations: dict[str, Calibration], names: list[str]) -> Floats:
    """(n, candidates, members) calibrated log probabilities of `names`, but for each list's own constant."""
    assert question.candidates is not None
    places = [list(question.scores).index(name) for name in names]
    return question.candidates[:, :, places] * np.array([_power(calibrations[name]) for name in names])


def _calibrated(question: Question, calibrations: dict[str, Calibration]) -> dict[str, Floats]:
    return {name: calibrate(question.kind, calibrations[name], values) for name, values in question.scores.items()}


def _happened(question: Question, values: Floats) -> Floats:
    """(n,) the probability given to what happened, or the prediction itself."""
    if question.kind == "binary":
        return np.where(question.target > 0, values, 1 - values)
    if question.kind == "multiclass":
        return values[np.arange(len(values)), question.target.astype(int)]
    return values


def _power(calibration: Calibration) -> float:
    return 1.0 if calibration is None else float(calibration["power"])


def _named(question: Question, names: list[str], weights: Floats) -> dict[str, float]:
    return dict.fromkeys(question.scores, 0.0) | dict(zip(names, map(float, weights), strict=True))


def _loss(question: Question, mixed: Floats) -> Floats:
    """Loss of each row, shaped as `mixed` (n,) or (n, members)."""
    if question.kind == "regression":
        return np.abs(mixed - (question.target if mixed.ndim == 1 else question.target[:, None]))
    return -np.log(np.maximum(mixed, 1e-12))


def _interval(gain: Floats, counts: Floats, cluster: Ints, trial: Trial, looks: int) -> tuple[float, float]:
    """Percentiles of the mean gain, whole clusters drawn Poisson(1) times (Owen and Eckles 2012).

    The best of several `looks` has a wider one (Bonferroni).
    """
    _, index = np.unique(cluster, return_inverse=True)
    sums, sizes = np.bincount(index, counts * gain), np.bincount(index, counts)
    drawn = np.random.default_rng(trial.seed + 1).poisson(1.0, (trial.bootstrap, len(sums)))
    means = (drawn @ sums) / np.maximum(drawn @ sizes, 1e-12)
    tail = (1 - trial.confidence) / 2 / looks
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
