"""Measures each member and the gain of fusing on a task, on users that the fit left out.

Calibrations and weights are fitted on the fusion window. Losses on the same rows would flatter the fusion, so every
loss here is out of fold: users are dealt into folds, and a fold's rows are scored by what the other folds gave. The
gain over the best single member is judged by a bootstrap that draws whole users; where it is not likely real (`sure`),
the best single member serves. That decides between two answers of one night, and proves nothing: the gate and the test
window have intervals of their own.

Weights are fitted by likelihood, but lists are judged by where the target stands: a member can lift the one and harm
the other. So the fusions without one of the members are judged as well, and the best of them may serve; the interval
is then that of as many looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.fusion.blends import Blend
from triad.fusion.correction import Correction, Examples, log_odds, table
from triad.fusion.question import (
    Answer,
    Judged,
    Mix,
    Question,
    Trial,
    contributions,
    fit_blend,
    fit_calibrations,
    mixed,
)
from triad.fusion.reranker import Reranker
from triad.kinds.base import Calibration
from triad.threads import side_by_side


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
        calibrations = fit_calibrations(fit, kept)
        columns[held] = contributions(part, calibrations)
        blends = side_by_side(partial(_blend_of, fit, calibrations, trial), groups)
        fused[held] = np.stack([mixed(part, calibrations, blend, columns[held]) for blend in blends], axis=1)
        mixes.append(Mix(calibrations, blends))

    kind, target = question.kind, question.target
    losses, of_candidates = kind.row_loss(columns, target), kind.row_loss(fused, target)
    alone = np.average(losses, axis=0, weights=counts)
    if question.judge is None:
        judged, by_row, tried = Judged(kind.loss_name, -losses, -of_candidates, question.cluster), counts, groups[:1]
    else:
        several = len(names) > 2 and question.lesson is None  # a re-ranker leaves out what does not help
        tried = groups if several else groups[:1]
        judged = question.judge([Mix(mix.calibrations, mix.blends[: len(tried)]) for mix in mixes], fold)
        by_row = np.ones(len(judged.fused))
    best = int(np.argmax(np.average(judged.alone, axis=0, weights=by_row)))
    worth = np.average(judged.fused, axis=0, weights=by_row)
    chosen = max((g for g, group in enumerate(tried) if names[best] in group), key=lambda g: worth[g])
    gain = judged.fused[:, chosen] - judged.alone[:, best]
    gained = _gained(gain, by_row, judged.cluster, trial, looks=max(len(tried) - 1, 1))
    fused_loss = (of_candidates if judged.likelihood is None else kind.row_loss(judged.likelihood, target))[:, chosen]

    calibrations = fit_calibrations(question, kept)
    fallback = len(names) > 1 and not gained.likely
    if fallback:
        blend = Blend(({name: float(m == best) for m, name in enumerate(names)},))
    else:
        blend = fit_blend(question, calibrations, groups[chosen], trial)
    weights = blend.overall(question.steps)
    served = losses[:, best] if fallback else fused_loss
    record: dict[str, Any] = {
        "kind": kind.name,
        "loss": kind.loss_name,
        "judged_by": judged.by,
        "rows": len(fold),
        "clusters": len(np.unique(question.cluster)),
        "best": names[best],
        "fused": float(np.average(fused_loss, weights=counts)),
        "served": float(np.average(served, weights=counts)),
        "gain": gained.record,
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
    otherwise = judged.alone[:, best] if fallback else judged.fused[:, chosen]
    reranker, evidence = _reranked(question, fold, judged.alone[:, best], otherwise, trial)
    serving = columns[:, best] if fallback else fused[:, chosen]
    said: dict[str, Floats] = {name: columns[:, m] for m, name in enumerate(names) if weights[name] > 0}
    corrected = _corrected(question, fold, said, (serving, losses[:, best]), trial)
    return Answer(calibrations, blend, weights, record | evidence | corrected[1], reranker, corrected[0])


def _reranked(
    question: Question, fold: Ints, best: Floats, otherwise: Floats, trial: Trial
) -> tuple[Reranker | None, dict[str, Any]]:
    """The re-ranker, where it likely beats the best member and is no worse than what serves otherwise; the evidence.

    Args:
        best, otherwise: (queries,) what their lists are worth.
    """
    lesson = question.lesson
    if lesson is None:
        return None, {}
    users, first = np.unique(question.cluster, return_index=True)
    judgement = lesson.judge(dict(zip(users.tolist(), fold[first].tolist(), strict=True)), trial.k)
    if judgement is None:
        return None, {"reranked": {"serves": False}}
    gain, every = judgement.values - best, np.ones(len(best))
    gained = _gained(gain, every, lesson.user[: lesson.judged], trial, looks=1)
    serves = gained.likely and judgement.values.mean() >= otherwise.mean()
    record: dict[str, Any] = {
        "serves": bool(serves),
        "trees": judgement.trees,
        "network": judgement.network,
        "worth": float(judgement.values.mean()),
        "gain": gained.record,
    }
    if not serves:
        return None, {"reranked": record}
    reranker = lesson.fit(np.ones(len(lesson.user), bool), judgement.trees, judgement.network)
    evidence = {"reranked": record | {"shares": reranker.shares}}
    return reranker, evidence | {"gain": record["gain"], "fallback": False}


def _corrected(
    question: Question, fold: Ints, said: dict[str, Floats], served: tuple[Floats, Floats], trial: Trial
) -> tuple[Correction | None, dict[str, Any]]:
    """The correction, where it likely takes off loss from what serves otherwise; the evidence.

    Args:
        said: member with weight → (n,) contribution, out of fold.
        served: (n,) the contribution of what serves otherwise, out of fold; and the loss of the best member.
    """
    context, (held, best) = question.context, served
    if context is None or not trial.corrections:
        return None, {}

    def chance(contribution: Floats) -> Floats:
        return np.where(question.target > 0, contribution, 1 - contribution)

    names, folds = list(said), list(range(int(fold.max()) + 1))
    values = table(chance(held), {name: chance(part) for name, part in said.items()}, context)
    examples = Examples.of(values, question.target, names, context.names)

    def added(k: int) -> Floats:
        correction = Correction.fit(examples, fold != k, trial.corrections[-1], trial.seed)
        return correction.added_by(values[fold == k], trial.corrections)

    raised = np.zeros((len(trial.corrections), len(fold)))
    for k, part in zip(folds, side_by_side(added, folds), strict=True):
        raised[:, fold == k] = part
    chances = expit(log_odds(chance(held)) + raised).T
    happened = np.where(question.target[:, None] > 0, chances, 1 - chances)
    losses, before = question.kind.row_loss(happened, question.target), question.kind.row_loss(held, question.target)
    place = int(np.argmin(np.average(losses, axis=0, weights=question.counts)))
    rows = question.counts, question.cluster
    gained = _gained(before - losses[:, place], *rows, trial, looks=len(trial.corrections))
    record: dict[str, Any] = {"serves": gained.likely, "trees": trial.corrections[place], "gain": gained.record}
    if not record["serves"]:
        return None, {"corrected": record}
    correction = Correction.fit(examples, np.ones(len(fold), bool), trial.corrections[place], trial.seed)
    gain = _gained(best - losses[:, place], *rows, trial, looks=1).record
    record["shares"] = correction.shares
    loss = float(np.average(losses[:, place], weights=rows[0]))
    return correction, {"corrected": record, "gain": gain, "served": loss, "fallback": False}


def _blend_of(fit: Question, calibrations: dict[str, Calibration], trial: Trial, group: list[str]) -> Blend:
    return fit_blend(fit, calibrations, group, trial)


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
        raw = _losses_alone(one, {name: None})
        mapped = np.zeros(len(fold))
        for k in range(int(fold.max()) + 1):
            fit, held = one.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)
            part = one.take(held)
            mapped[held] = _losses_alone(part, fit_calibrations(fit, {name: True}))
        helps[name] = bool(one.counts @ (raw - mapped) > 0)
    return helps


def _losses_alone(one: Question, calibrations: dict[str, Calibration]) -> Floats:
    """(n,) of a question with one member."""
    return one.kind.row_loss(contributions(one, calibrations), one.target)[:, 0]


@dataclass(frozen=True)
class Gained:
    """A mean gain: its interval, and whether it is likely real."""

    record: dict[str, float]  # value, low, high
    likely: bool


def _gained(gain: Floats, counts: Floats, cluster: Ints, trial: Trial, looks: int) -> Gained:
    """Of (n,) gains. Whole clusters are drawn Poisson(1) times (Owen and Eckles 2012).

    The best of several `looks` has a wider interval, and must be surer (Bonferroni).
    """
    _, index = np.unique(cluster, return_inverse=True)
    sums, sizes = np.bincount(index, counts * gain), np.bincount(index, counts)
    drawn = np.random.default_rng(trial.seed + 1).poisson(1.0, (trial.bootstrap, len(sums)))
    means = (drawn @ sums) / np.maximum(drawn @ sizes, 1e-12)
    tail = (1 - trial.confidence) / 2 / looks
    low, high, least = np.quantile(means, (tail, 1 - tail, (1 - trial.sure) / looks))
    record = {"value": float(np.average(gain, weights=counts)), "low": float(low), "high": float(high)}
    return Gained(record, bool(least > 0))
