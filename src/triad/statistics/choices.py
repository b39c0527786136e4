"""Metrics of choosing one of the known answers, or none, on a sample and all its resamples (see `metrics.py`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Floats, Ints
from triad.statistics.bootstrap import Draws, Estimate
from triad.statistics.metrics import auc, check_scores, mean, ratio, row_mean

PRECISION = 0.95
"""Share of the answers given that should be right."""
FIRST = 10
"""Length of a list of answers."""


def choice(
    labels: Floats,
    scores: Floats,
    cluster: Ints,
    draws: Draws,
    *,
    guess: bool = False,
    threshold: float | None = None,
) -> dict[str, Estimate]:
    """accuracy, macro_recall, macro_f1, log_loss as `metrics.multiclass`, without a table of classes by classes.

    refusal_auc: how often what has an answer (place > 0) gets more confidence than what has none. coverage: the largest
    share of rows that could be answered with `PRECISION` of the answers right. recall_first: rows whose answer is among
    the `FIRST` likeliest, where there are more answers. With a `threshold` of confidence: `answered`, the share of rows
    from it on, and `precision`, the share of right ones among those. Confidence is the largest p of an answer.

    Args:
        labels: (n,) place of the true class; 0 is none.
        scores: (n, classes) probabilities.
        guess: the macro figures are those of drawing a class from the scores.
    """
    check_scores(scores, len(labels), probabilities=True)
    p, true = np.asarray(scores, np.float64), np.asarray(labels).astype(int)
    n, classes = p.shape
    one = np.eye(classes)
    actual, named = one[true], one[p.argmax(axis=1)]
    answer = p if guess else named
    cells = draws.totals(cluster, np.concatenate([actual * answer, actual, answer], axis=1))
    tp, of_class, said = np.split(cells, 3, axis=1)
    right = named[np.arange(n), true]
    confidence, correct = p[:, 1:].max(axis=1), 1 + p[:, 1:].argmax(axis=1) == true
    estimates = {
        "accuracy": mean(right, cluster, draws),
        "macro_recall": row_mean(ratio(tp, of_class)),
        "macro_f1": row_mean(ratio(2 * tp, of_class + said)),
        "log_loss": mean(-np.log(np.clip(p[np.arange(n), true], 1e-15, None)), cluster, draws),
        "refusal_auc": auc(true > 0, confidence, cluster, draws),
        "coverage": _coverage(confidence, correct, cluster, draws),
    }
    if classes > FIRST + 1:
        own = p[np.arange(n), true]
        place = (p[:, 1:] >= own[:, None]).sum(axis=1)  # ties count against it
        has_answer = true > 0
        hit = np.stack([has_answer & (place <= FIRST), has_answer], axis=1).astype(np.float64)
        estimates["recall_first"] = ratio(*draws.totals(cluster, hit).T)
    if threshold is not None:
        answered = confidence >= threshold
        table = np.stack([answered & correct, answered, np.ones(n)], axis=1).astype(np.float64)
        good, given, rows = draws.totals(cluster, table).T
        estimates |= {"answered": ratio(given, rows), "precision": ratio(good, given)}
    return estimates


def threshold_of(labels: Floats, scores: Floats) -> float:
    """The least confidence from which `PRECISION` of the answers are right; 2, which no confidence reaches, if none."""
    p, true = np.asarray(scores, np.float64), np.asarray(labels).astype(int)
    confidence, correct = p[:, 1:].max(axis=1), 1 + p[:, 1:].argmax(axis=1) == true
    order, last = _sorted(confidence)
    good = np.cumsum(correct[order]) >= PRECISION * np.arange(1, len(order) + 1)
    enough = np.flatnonzero(good & last)
    return float(confidence[order[enough[-1]]]) if len(enough) else 2.0


def _sorted(confidence: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    """(n,) rows by falling confidence, and whether each is the last of its ties: a threshold takes all or none."""
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    return order, np.r_[ordered[1:] != ordered[:-1], True][: len(ordered)]


def _coverage(confidence: Floats, correct: NDArray[np.bool_], cluster: Ints, draws: Draws) -> Estimate:
    order, last = _sorted(confidence)
    shares = []
    for drawn in draws.blocks(4 * max(len(order), 1)):
        weight = drawn[:, cluster[order]]
        given = np.cumsum(weight, axis=1)
        fits = (np.cumsum(weight * correct[order], axis=1) >= PRECISION * given) & last
        best = np.where(fits, given, 0.0).max(axis=1, initial=0.0)
        shares.append(ratio(best, weight.sum(axis=1)))
    return np.concatenate(shares)
