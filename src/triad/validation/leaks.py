"""Leak sentinels: a feature that knows the answer stops the run. Arrays in; it reads and writes no files.

A leak shows in everybody's rows. Where a bot, a shared account or one item makes most of them, whatever tells that one
from the rest would look like a leak; so no user and no item counts for many times what others do (`spread`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triad.errors import TriadError
from triad.matrices import in_blocks, rows_of
from triad.texts import Texts
from triad.threads import side_by_side

MAX_ROWS = 100_000
"""Rows looked at; a leak shows in far fewer."""

MIN_CLASS = 20
"""Rows of either class without which an AUC near 1 means little."""

_TIMES = 5  # the median user's (or item's) rows of a class: as many as one may have
_SAME = 1 - 1e-6  # |correlation| from which on one column is the other one, scaled and shifted
_NEARLY = 0.999  # |correlation| with a measured number that no honest feature has


def check_features(
    context: ArrayLike,
    names: Sequence[str],
    labels: ArrayLike,
    task_names: Sequence[str],
    limit: float,
    *,
    split: ArrayLike | None = None,
    owners: Sequence[ArrayLike] = (),
) -> None:
    """Stop where one feature alone gives a task's label away.

    A label of two values is asked by AUC, in either direction; one of few whole numbers (classes) likewise, each class
    against the rest; any other by correlation. That a feature is missing counts as a value: it may tell as much.

    Args:
        context: (n, C) features, NaN where unknown.
        names: the C features.
        labels: (n, T) labels, NaN where missing.
        task_names: the T tasks.
        limit: the AUC from which on a feature is taken for a leak.
        split: (n,) rows with a negative number are left out.
        owners: each (n,) whole numbers from 0: whose row it is, what it is about. See `spread`.

    Raises:
        TriadError: naming the feature, the task and the AUC or correlation.
    """
    context, labels = np.asanyarray(context), np.asanyarray(labels)
    split = np.zeros(len(labels), np.int8) if split is None else np.asanyarray(split)
    for place, task in enumerate(task_names):
        rows, label = _labelled(split, labels, place, 10 * MAX_ROWS)  # of which those of one owner may go
        for owner in owners:
            stay = spread(rows_of(np.asanyarray(owner), rows), label)
            rows, label = rows[stay], label[stay]
        stay = _thin(label)
        rows, label = rows[stay], label[stay].astype(np.float64)
        told = partial(_told, label=label, limit=limit)
        faults = side_by_side(told, np.ascontiguousarray(rows_of(context, rows).T))
        for feature, fault in zip(names, faults, strict=True):
            if fault:
                raise TriadError(
                    f"{fault} of task {task!r}: it knows the answer",
                    where=f"feature {feature!r}",
                    mend="take only what was known before the exposure; or raise validate.leak_auc if it is honest",
                )


def _told(feature: NDArray[np.floating], label: NDArray[np.floating], limit: float) -> str:
    return leak(feature.astype(np.float64), label, limit)


def spread(owner: NDArray[np.integer], label: NDArray[np.generic]) -> NDArray[np.integer]:
    """Places, ascending, of the rows that stay where no owner has far more of a class of `label` than the median one.

    Args:
        owner: (n,) whole numbers from 0.
        label: (n,) of two values; with more, all rows are one class.
    """
    values, group = np.unique(label, return_inverse=True)
    group = group if len(values) == 2 else np.zeros(len(owner), np.int64)
    width = int(owner.max(initial=0)) + 1
    cell = group * width + owner
    counts = np.bincount(cell, minlength=width * (int(group.max(initial=0)) + 1)).reshape(-1, width)
    most = np.array([max(_TIMES * np.median(one[one > 0]), MIN_CLASS) if one.any() else 0 for one in counts], np.int64)
    many = np.flatnonzero(counts.ravel()[cell] > most[group])
    many = many[np.argsort(cell[many], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(cell[many]) != 0])
    size, limit = counts.ravel()[cell[many]], most[group[many]]
    rank = np.arange(len(many)) - np.repeat(starts, np.diff(np.r_[starts, len(many)])) if len(many) else many
    gone = many[(rank + 1) * limit // size == rank * limit // size]  # `limit` of each, evenly taken
    return np.delete(np.arange(len(owner)), gone)


def leak(feature: NDArray[np.floating], label: NDArray[np.floating], limit: float) -> str:
    """In words how `feature` (n,), NaN where missing, gives `label` (n,) away; empty where it does not."""
    known = np.isfinite(feature)
    correlation = _correlation(feature[known], label[known])
    values = np.unique(label[:1000])
    classes = np.unique(label) if np.all(values == np.round(values)) and len(values) <= 100 else np.array([])
    if correlation >= _SAME and known.sum() >= MIN_CLASS:
        return f"equals the label (|correlation| {correlation:.6f})"
    if not len(classes):
        return f"has |correlation| {correlation:.4f} with the label" if correlation >= _NEARLY else ""
    for value in classes[1:] if len(classes) == 2 else classes:
        positive = label == value
        score = best_auc(feature, positive)
        if score >= limit:
            against = "" if len(classes) == 2 else f" of class {value:g} against the rest"
            return f"alone has AUC {score:.4f} (limit {limit:g}) for the label{against}"
    return ""


def best_auc(feature: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """The best AUC of `feature` (n,) for `positive` (n,), high or low, its gaps (NaN) put at either end.

    0.5 where there are fewer than `MIN_CLASS` rows of a class: by chance a few may be parted by anything.
    """
    if min(positive.sum(), (~positive).sum()) < MIN_CLASS:
        return 0.5
    ends = (-np.inf, np.inf) if np.isnan(feature).any() else (0.0,)
    scores = [auc(np.where(np.isnan(feature), end, feature), positive) for end in ends]
    return max(max(score, 1 - score) for score in scores)


def rates(categories: NDArray[np.object_], positive: NDArray[np.bool_]) -> NDArray[np.floating]:
    """(n,) each row's category as the share of positives in it, counted on the other half of the rows (even, odd)."""
    codes = Texts.of(categories).codes()[1]
    half, shares = np.arange(len(codes)) % 2, np.full(len(codes), np.nan)
    for own in (0, 1):
        other = half != own
        seen = np.bincount(codes[other], minlength=codes.max(initial=0) + 1)
        hits = np.bincount(codes[other], weights=positive[other], minlength=len(seen))
        shares[half == own] = np.where(seen > 0, hits / np.maximum(seen, 1), np.nan)[codes[half == own]]
    return shares


def auc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive row scores above a negative one, ties counting half (Mann and Whitney, 1947)."""
    above, below = np.sort(score[positive]), np.sort(score[~positive])
    # searching sorted values is quicker than ranking all of them
    beaten = np.searchsorted(below, above, "left").sum() + np.searchsorted(below, above, "right").sum()
    return float(beaten / 2 / (len(above) * len(below)))


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return abs(float(np.corrcoef(a, b)[0, 1]))


def _thin(label: NDArray[np.floating], most: int = MAX_ROWS) -> NDArray[np.integer]:
    """At most about `most` rows, evenly taken, and of two classes as many of each as there are up to a half."""
    rows = np.arange(len(label))
    return _labelled(np.zeros(len(label), np.int8), label[:, None], 0, most)[0] if len(label) > most else rows


def _labelled(
    split: NDArray[np.integer], labels: NDArray[np.floating], column: int, most: int
) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Rows of a split that have a label, and these labels; of more than `most` what `_thin` takes. Read by blocks."""

    def blocks() -> Iterator[tuple[NDArray[np.integer], NDArray[np.floating]]]:
        for rows, (of, block) in in_blocks(split, labels):
            known = np.flatnonzero((of >= 0) & np.isfinite(block[:, column]))
            yield rows.start + known, block[known, column]

    total, counts = 0, dict[float, int]()
    for _, label in blocks():
        total += len(label)
        if len(counts) < 3:  # with more than two values all rows are one class
            for value, count in zip(*np.unique(label, return_counts=True), strict=True):
                counts[float(value)] = counts.get(float(value), 0) + int(count)
    two = len(counts) == 2 and total > most
    sizes = [counts[value] for value in sorted(counts)] if two else [total]
    share = most // len(sizes) if total > most else total
    wanted = [np.linspace(0, size - 1, min(share, size)).astype(int) for size in sizes]
    taken, seen = [(np.zeros(0, np.int64), np.zeros(0, labels.dtype))], np.zeros(len(sizes), np.int64)
    for rows, label in blocks():
        own = [np.flatnonzero(label == value) for value in sorted(counts)] if two else [np.arange(len(label))]
        for group, places in enumerate(own):
            begin, end = np.searchsorted(wanted[group], (seen[group], seen[group] + len(places)))
            picked = places[wanted[group][begin:end] - seen[group]]
            taken.append((rows[picked], label[picked]))
            seen[group] += len(places)
    rows, label = (np.concatenate(each) for each in zip(*taken, strict=True))
    order = np.argsort(rows)
    return rows[order], label[order]
