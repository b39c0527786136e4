"""Every metric, on a sample and on all its resamples at once (see `bootstrap.py`: row 0 is the sample).

`cluster` (n,) names each row's cluster in `draws`. A metric that is undefined, AUC with one class say, is NaN; the
report says so by name. Scores that are no numbers, or no probabilities, are refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.statistics.bootstrap import Draws, Estimate

BINS = 10
"""Equal-mass bins of the calibration error and curve."""

_EPSILON = 1e-15


def binary(
    labels: Floats, scores: Floats, cluster: Ints, draws: Draws, threshold: float | None = None
) -> dict[str, Estimate]:
    """auc, gauc, log_loss, calibration_error; with a `threshold` also accuracy, recall, f1 of `score ≥ threshold`.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,) probabilities.
    """
    check_scores(scores, len(labels), probabilities=True)
    taken = np.asarray(labels) > 0.5
    p = np.clip(np.asarray(scores, np.float64), _EPSILON, 1 - _EPSILON)
    loss = -np.log(np.where(taken, p, 1 - p))
    estimates = {
        "auc": auc(taken, p, cluster, draws),
        "gauc": gauc(taken, p, cluster, draws),
        "log_loss": mean(loss, cluster, draws),
        "calibration_error": calibration_error(taken, p, cluster, draws),
    }
    if threshold is not None:
        chosen = p >= threshold
        cells = [chosen & taken, chosen & ~taken, ~chosen & taken, ~chosen & ~taken]
        tp, fp, fn, tn = draws.totals(cluster, np.stack(cells, axis=1).astype(np.float64)).T
        estimates["accuracy"] = ratio(tp + tn, tp + fp + fn + tn)
        estimates["recall"] = ratio(tp, tp + fn)
        estimates["f1"] = ratio(2 * tp, 2 * tp + fp + fn)
    return estimates


def auc(taken: NDArray[np.bool_], scores: Floats, cluster: Ints, draws: Draws) -> Estimate:
    """Area under the ROC curve, ties counted half (Mann-Whitney): one sort serves every resample.

    A negative counts from the first positive above it on: a sparse product sums those between one positive and the
    next, so that no array is as wide as all rows. A tie with positives counts half at the first, half after the last.
    """
    order = np.argsort(scores[taken], kind="stable")
    positives, of_positives, of_negatives = scores[taken][order], cluster[taken][order], cluster[~taken]
    first, after = (np.searchsorted(positives, scores[~taken], side) for side in ("left", "right"))
    tied = np.flatnonzero(first < after)
    share = np.where(first < after, 0.5, 1.0)
    counted = csr_array(
        (np.r_[share, share[tied]], (np.r_[first, after[tied]], np.r_[of_negatives, of_negatives[tied]])),
        shape=(len(positives) + 1, draws.multiplicity.shape[1]),
    )
    areas = []
    for drawn in draws.blocks(max(*counted.shape)):
        every = np.ascontiguousarray(drawn.T)
        below = np.cumsum(counted @ every, axis=0)
        weights = every[of_positives]
        wins = np.einsum("pb,pb->b", weights, below[:-1])
        areas.append(ratio(wins, weights.sum(axis=0) * below[-1]))
    return np.concatenate(areas)


def gauc(taken: NDArray[np.bool_], scores: Floats, cluster: Ints, draws: Draws) -> Estimate:
    """Mean AUC within a cluster, weighted by its rows; clusters of one class are left out (Zhu et al. 2017, DIN)."""
    clusters = draws.multiplicity.shape[1]
    order = np.lexsort((scores, cluster))
    c, s, y = cluster[order], scores[order], taken[order]
    place = np.arange(len(order), dtype=np.float64)
    fresh = np.r_[True, (c[1:] != c[:-1]) | (s[1:] != s[:-1])] if len(c) else np.zeros(0, bool)
    group = np.cumsum(fresh) - 1
    rank = np.bincount(group, place)[group] / np.bincount(group)[group] if len(c) else place  # ties share their mean
    rows = np.bincount(c, minlength=clusters).astype(np.float64)
    rank = rank - (np.cumsum(rows) - rows)[c] + 1
    positives = np.bincount(c, y, minlength=clusters)
    wins = np.bincount(c, rank * y, minlength=clusters) - positives * (positives + 1) / 2
    mixed = np.flatnonzero((positives > 0) & (positives < rows))
    weight = rows[mixed]
    inside = wins[mixed] / (positives[mixed] * (weight - positives[mixed]))
    total = draws.totals(mixed, np.stack([inside * weight, weight], axis=1))
    return ratio(total[:, 0], total[:, 1])


def bins(scores: Floats) -> Ints:
    """(n,) which of `BINS` equal-mass bins each score lies in; equal scores lie together."""
    edges = np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(edges, scores)


def calibration_error(taken: NDArray[np.bool_], scores: Floats, cluster: Ints, draws: Draws) -> Estimate:
    """Expected calibration error: mean |predicted − observed| over equal-mass bins, weighted by rows (Naeini 2015)."""
    if not len(scores):
        return np.full(len(draws.multiplicity), np.nan)
    member = bins(scores)[:, None] == np.arange(BINS)
    total = draws.totals(cluster, np.c_[member * (scores - taken)[:, None], np.ones(len(scores))])
    return ratio(np.abs(total[:, :-1]).sum(axis=1), total[:, -1])


def calibration_points(labels: Floats, scores: Floats) -> list[dict[str, float]]:
    """predicted, observed, rows: each equal-mass bin of the scores (n,) against what happened."""
    place = bins(scores)
    return [
        {"predicted": scores[inside].mean(), "observed": labels[inside].mean(), "rows": int(inside.sum())}
        for inside in (place == each for each in np.unique(place))
    ]


def roc_points(labels: Floats, scores: Floats) -> list[dict[str, float]]:
    """false_positive_rate, true_positive_rate, at most 200 points; none of labels of one class."""
    from sklearn.metrics import roc_curve

    if labels.min() == labels.max():
        return []
    false, true, _ = roc_curve(labels, scores)
    places = np.unique(np.linspace(0, len(false) - 1, 200).astype(int))
    return [{"false_positive_rate": false[at], "true_positive_rate": true[at]} for at in places]


def best_threshold(labels: Floats, scores: Floats) -> float:
    """The score from which "yes" gives the highest F1; infinite where nothing is positive."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    s, hits = np.asarray(scores, np.float64)[order], np.cumsum(np.asarray(labels)[order] > 0.5)
    if not len(s) or hits[-1] == 0:
        return float("inf")
    last = np.r_[s[1:] != s[:-1], True]  # a threshold takes all of a tie or none of it
    f1 = 2 * hits / (np.arange(1, len(s) + 1) + hits[-1])
    return float(s[np.argmax(np.where(last, f1, -1.0))])


def multiclass(
    labels: Floats, scores: Floats, cluster: Ints, draws: Draws, *, guess: bool = False
) -> dict[str, Estimate]:
    """accuracy, macro_recall, macro_f1 of the likeliest class, and log_loss.

    Recall is averaged over the classes that occur, F1 over those that occur or are predicted. With `guess` the macro
    figures are those of drawing a class from the scores, the harder baseline: always naming the commonest class has
    a macro F1 near 1 / classes², drawing by share one near 1 / classes.

    Args:
        labels: (n,) place of the true class.
        scores: (n, classes) probabilities.
    """
    check_scores(scores, len(labels), probabilities=True)
    p = np.asarray(scores, np.float64)
    n, classes = p.shape
    true = np.asarray(labels).astype(int)
    if n and (true.min() < 0 or true.max() >= classes):
        raise TriadError(
            f"label {true.max()} of {classes} classes", where="multiclass scores", mend="score every class"
        )
    named = np.eye(classes)[p.argmax(axis=1)]
    right = named[np.arange(n), true]
    loss = -np.log(np.clip(p[np.arange(n), true], _EPSILON, None))
    answer = p if guess else named
    cells = np.zeros((n, classes, classes))
    cells[np.arange(n), true] = answer
    confusion = draws.totals(cluster, cells.reshape(n, -1)).reshape(-1, classes, classes)
    tp, actual, said = np.einsum("bcc->bc", confusion), confusion.sum(axis=2), confusion.sum(axis=1)
    return {
        "accuracy": mean(right, cluster, draws),
        "macro_recall": row_mean(ratio(tp, actual)),
        "macro_f1": row_mean(ratio(2 * tp, actual + said)),
        "log_loss": mean(loss, cluster, draws),
    }


def regression(labels: Floats, scores: Floats, naive: Floats, cluster: Ints, draws: Draws) -> dict[str, Estimate]:
    """mae, rmse, and relative_gain = 1 − MAE / MAE of `naive`: the share of the naive guess's error that is gone.

    All arguments (n,), in the label's unit.
    """
    check_scores(scores, len(labels))
    wrong = np.abs(np.asarray(scores, np.float64) - labels)
    parts = np.stack([wrong, wrong**2, np.abs(naive - labels), np.ones(len(wrong))], axis=1)
    absolute, squared, naively, rows = draws.totals(cluster, parts).T
    return {
        "mae": ratio(absolute, rows),
        "rmse": np.sqrt(ratio(squared, rows)),
        "relative_gain": 1 - ratio(absolute, naively),
    }


def ranking(values: Floats, cluster: Ints, draws: Draws) -> dict[str, Estimate]:
    """ndcg, hit, recall, mrr: means over queries of `ranking_values`."""
    total = draws.totals(cluster, np.c_[values, np.ones(len(values))])
    return {name: ratio(total[:, i], total[:, -1]) for i, name in enumerate(("ndcg", "hit", "recall", "mrr"))}


def mean(values: Floats, cluster: Ints, draws: Draws) -> Estimate:
    """Mean of `values` (n,) over rows."""
    total = draws.totals(cluster, np.stack([values, np.ones(len(values))], axis=1))
    return ratio(total[:, 0], total[:, 1])


def ratio(above: Floats, below: Floats) -> NDArray[np.float64]:
    """NaN where nothing is below."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)


def row_mean(values: Floats) -> Estimate:
    """Mean of each row's finite values."""
    here = np.isfinite(values)
    return ratio(np.where(here, values, 0.0).sum(axis=1), here.sum(axis=1).astype(np.float64))


def check_scores(scores: Floats, rows: int, *, probabilities: bool = False) -> None:
    """Refuse scores that are no finite numbers, or no probabilities where they should be."""
    if len(scores) != rows:
        raise TriadError(
            f"{len(scores)} scores for {rows} labels", where="evaluation", mend="score exactly the labelled rows"
        )
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise TriadError(
            f"{bad} scores are no finite numbers", where="evaluation", mend="find the member that gives them"
        )
    if probabilities and rows and (np.min(scores) < 0 or np.max(scores) > 1):
        span = f"[{np.min(scores):.4g}, {np.max(scores):.4g}]"
        raise TriadError(f"scores in {span} are no probabilities", where="evaluation", mend="calibrate the member")
