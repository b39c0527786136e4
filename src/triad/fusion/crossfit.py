"""What each member is worth on a task, and whether fusing them helps: measured on users that the fit left out.

Calibrations and weights are fitted on the fusion window. Losses on the same rows would flatter the fusion, so every
loss here is out of fold: users are dealt into folds, and a fold's rows are scored by what the other folds gave. The
gain over the best single member carries a bootstrap interval that draws whole users; where it does not clear zero,
the best single member serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from triad.errors import TriadError
from triad.features.dataset import Floats, Ints
from triad.fusion.calibration import POWERS, Calibration, Kind, calibrate, fit_calibration
from triad.fusion.weights import absolute_weights, mixture_weights


@dataclass(frozen=True)
class Mix:
    """What one fold's fit made of the members."""

    calibrations: dict[str, Calibration]
    weights: dict[str, float]


@dataclass(frozen=True)
class Judged:
    """What the answers are worth, more is better, where that is not the loss."""

    by: str
    alone: Floats  # (n, members)
    fused: Floats  # (n,)
    cluster: Ints  # (n,)


@dataclass(frozen=True)
class Question:
    """One task's rows on the fusion window, and every member's answer."""

    task: str
    kind: Kind
    scores: dict[str, Floats]  # member → as `fit_calibration` takes them
    target: Floats  # (n,) labels; for rankings each target's weight
    cluster: Ints  # (n,) who is drawn together
    judge: Callable[[list[Mix], Ints], Judged] | None = None  # of each fold's mix and each row's fold

    def take(self, rows: Ints) -> Question:
        scores = {name: values[rows] for name, values in self.scores.items()}
        return Question(self.task, self.kind, scores, self.target[rows], self.cluster[rows])

    @property
    def counts(self) -> Floats:
        """(n,) weight of each row in means."""
        return self.target if self.kind == "ranking" else np.ones(len(self.target))


@dataclass(frozen=True)
class Answer:
    """How a task is fused, and the evidence for it."""

    calibrations: dict[str, Calibration]
    weights: dict[str, float]
    record: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """How often, and how surely."""

    folds: int
    bootstrap: int
    confidence: float
    seed: int
    calibrate: bool = True


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

    columns = np.zeros((len(fold), len(names)))  # out-of-fold contributions, and what weights make of them
    fused, without = np.zeros(len(fold)), np.zeros((len(fold), len(names)))
    mixes = []
    for k in range(int(fold.max()) + 1):
        fit, held = question.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)
        calibrations = _calibrations(fit, kept)
        inside, outside = _contributions(fit, calibrations), _contributions(question.take(held), calibrations)
        weights = _weights(fit, inside)
        columns[held] = outside
        fused[held] = outside @ weights
        mixes.append(Mix(calibrations, _named(names, weights)))
        for m in range(len(names) if len(names) > 1 else 0):
            rest = [i for i in range(len(names)) if i != m]
            without[held, m] = outside[:, rest] @ _weights(fit, inside[:, rest])

    losses, fused_loss = _loss(question, columns), _loss(question, fused)
    alone = np.average(losses, axis=0, weights=counts)
    loss = "absolute error" if question.kind == "regression" else "log loss"
    if question.judge is None:
        judged, by_row = Judged(loss, -losses, -fused_loss, question.cluster), counts
    else:
        judged = question.judge(mixes, fold)
        by_row = np.ones(len(judged.fused))
    best = int(np.argmax(np.average(judged.alone, axis=0, weights=by_row)))
    gain = judged.fused - judged.alone[:, best]
    low, high = _interval(gain, by_row, judged.cluster, trial)

    calibrations = _calibrations(question, kept)
    weights = _weights(question, _contributions(question, calibrations))
    fallback = len(names) > 1 and not low > 0
    if fallback:
        weights = np.eye(len(names))[best]
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
        "fallback": fallback,
        "members": {},
    }
    for m, name in enumerate(names):
        cost = np.average(_loss(question, without[:, m]) - fused_loss, weights=counts) if len(names) > 1 else None
        record["members"][name] = {
            "alone": float(alone[m]),
            "weight": float(weights[m]),
            "is_calibrated": kept[name],
            "cost_of_leaving_out": None if cost is None else float(cost),
        }
    return Answer(calibrations, _named(names, weights), record)


def _named(names: list[str], weights: Floats) -> dict[str, float]:
    return {name: float(weight) for name, weight in zip(names, weights, strict=True)}


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
    columns = []
    for name, scores in question.scores.items():
        calibration = calibrations[name]
        if question.kind == "ranking":
            power = 1.0 if calibration is None else calibration["power"]
            columns.append(np.exp(scores[:, POWERS.index(power)]))
            continue
        mapped = calibrate(question.kind, calibration, scores)
        if question.kind == "binary":
            mapped = np.where(question.target > 0, mapped, 1 - mapped)
        elif question.kind == "multiclass":
            mapped = mapped[np.arange(len(mapped)), question.target.astype(int)]
        columns.append(mapped)
    return np.stack(columns, axis=1)


def _weights(question: Question, contributions: Floats) -> Floats:
    if contributions.shape[1] == 1:
        return np.ones(1)
    if question.kind == "regression":
        return absolute_weights(contributions, question.target)
    return mixture_weights(contributions, question.counts)


def _loss(question: Question, mixed: Floats) -> Floats:
    """Loss of each row, shaped as `mixed` (n,) or (n, members)."""
    if question.kind == "regression":
        return np.abs(mixed - (question.target if mixed.ndim == 1 else question.target[:, None]))
    return -np.log(np.maximum(mixed, 1e-12))


def _interval(gain: Floats, counts: Floats, cluster: Ints, trial: Trial) -> tuple[float, float]:
    """Percentiles of the mean gain, whole clusters drawn Poisson(1) times (Owen and Eckles 2012)."""
    _, index = np.unique(cluster, return_inverse=True)
    sums, sizes = np.bincount(index, counts * gain), np.bincount(index, counts)
    drawn = np.random.default_rng(trial.seed + 1).poisson(1.0, (trial.bootstrap, len(sums)))
    means = (drawn @ sums) / np.maximum(drawn @ sizes, 1e-12)
    tail = (1 - trial.confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
