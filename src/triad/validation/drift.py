"""Compares the last days with those before. The tests account for dependent rows and for the number of columns.

A user's events resemble each other, and so do an item's: n rows are worth fewer than n draws. So the covariance of the
difference between two histograms is that of per-cluster influences, each cluster left out in turn (delete-one
jackknife), which also accounts for clusters seen in both periods. Those by user and by item are added: an upper bound
of two-way clustering (Cameron, Gelbach and Miller, 2011). Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov  # of scipy.stats, which takes a third of a second to import

from triad.texts import Texts

BINS = 32
"""Categories kept of a column (the rarest are pooled), or quantile bins of a number."""

_NONE = "(none)"

MIN_CLUSTERS = 30
"""Users, and items, needed in each period: with fewer their scatter cannot be told."""


@dataclass(frozen=True)
class Drift:
    """How one column's last days differ from those before.

    Args:
        effect: Cramér's V of a table with both periods weighing the same, or the Kolmogorov-Smirnov distance.
        p_value: of "both periods are draws of one distribution", before correction for the number of columns.
        rows: how many rows the column was seen in.
        moved: the shares that moved most, in words.
        new: categories that the days before did not know.
    """

    column: str
    scale: Literal["categorical", "numeric"]
    effect: float
    p_value: float
    rows: int
    moved: str
    new: tuple[str, ...] = ()


def categorical(
    column: str,
    values: NDArray[np.object_],
    recent: NDArray[np.bool_],
    clusters: Sequence[NDArray[np.integer]],
    say: Callable[[str], str] = str,
) -> Drift | None:
    """Drift of a categorical column; None where a period has fewer than `MIN_CLUSTERS` users or items, or one category.

    The statistic is Pearson's X² with the second-order correction of Rao and Scott (1984) for clustered rows.

    Args:
        values: (n,) categories as text; None is a category of its own.
        recent: (n,) whether the row lies in the last days.
        clusters: each (n,) and from 0: whose row it is, what it is about.
        say: a category as people may read it.
    """
    texts, codes = Texts.of(np.where(values == None, _NONE, values)).codes()  # noqa: E711
    names = np.asarray(texts)
    table = np.array(
        [np.bincount(codes[~recent], minlength=len(names)), np.bincount(codes[recent], minlength=len(names))]
    )
    names = np.array([say(name) if name != _NONE else name for name in names], dtype=object)
    new = tuple(names[(table[0] == 0) & (table[1] > 0)][:20].tolist())
    order = np.argsort(-table.sum(axis=0), kind="stable")
    names, rank = names[order], np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    codes = np.minimum(rank[codes], BINS - 1)
    if len(names) > BINS:
        names = np.array([*names[: BINS - 1], "(others)"], dtype=object)
    comparison = _compare(codes, len(names), recent, clusters)
    if comparison is None or len(names) < 2:
        return None
    pooled = (comparison.before * comparison.rows[0] + comparison.after * comparison.rows[1]) / comparison.rows.sum()
    information = 1 / (pooled * comparison.noise)
    statistic = float(np.sum(comparison.difference**2 * information))
    scaled = comparison.covariance * np.sqrt(np.outer(information, information))
    mean, square = np.trace(scaled), np.sum(scaled**2)
    # the eigenvalues' sum and sum of squares give the χ² that has the first two moments of the statistic
    p_value = float(chdtrc(mean**2 / square, statistic * mean / square)) if square > 0 else 1.0
    middle = (comparison.before + comparison.after) / 2
    effect = float(np.sqrt(np.sum(comparison.difference**2 / middle) / 4))
    most = np.argsort(-np.abs(comparison.difference), kind="stable")[:3]
    moved = ", ".join(f"{names[i]} {comparison.before[i]:.1%} → {comparison.after[i]:.1%}" for i in most)
    return Drift(column, "categorical", effect, p_value, len(codes), moved, new)


def numeric(
    column: str, values: NDArray[np.floating], recent: NDArray[np.bool_], clusters: Sequence[NDArray[np.integer]]
) -> Drift | None:
    """Drift of a number; rows with NaN are left out. None where there are too few clusters or the number never changes.

    The statistic is Kolmogorov and Smirnov's distance between `BINS` pooled quantiles, and its p-value that of as many
    independent rows as give the distance the same variance, at the quantile where that is worst.
    """
    seen = np.isfinite(values)
    values, recent, clusters = values[seen], recent[seen], [ids[seen] for ids in clusters]
    if not len(values):
        return None
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges < values.max()]
    codes = np.searchsorted(edges, values, side="left")
    comparison = _compare(codes, len(edges) + 1, recent, clusters)
    if comparison is None or not len(edges):
        return None
    gaps = np.cumsum(comparison.difference)[:-1]
    variance = np.diag(np.cumsum(np.cumsum(comparison.covariance, axis=0), axis=1))[:-1]
    below = np.cumsum(np.bincount(codes, minlength=len(edges) + 1))[:-1] / len(codes)
    independent = below * (1 - below) * comparison.noise
    central = (below > 0.05) & (below < 0.95)
    effects = (variance / independent)[central if central.any() else slice(None)]
    design = max(float(effects.max()), 1.0)
    distance = float(np.abs(gaps).max())
    p_value = float(kolmogorov(distance / np.sqrt(comparison.noise * design)))
    quarters = [np.quantile(part, (0.25, 0.5, 0.75)) for part in (values[~recent], values[recent])]
    described = [f"{median:,.4g} ({low:,.4g} to {high:,.4g})" for low, median, high in quarters]
    return Drift(
        column, "numeric", distance, p_value, len(codes), f"median and quartiles {described[0]} → {described[1]}"
    )


@dataclass(frozen=True)
class _Difference:
    before: NDArray[np.floating]  # (bins,) shares
    after: NDArray[np.floating]  # (bins,) shares
    covariance: NDArray[np.floating]  # (bins, bins) of after - before
    rows: NDArray[np.integer]  # (2,)

    @property
    def difference(self) -> NDArray[np.floating]:
        return self.after - self.before

    @property
    def noise(self) -> float:
        """The variance of a share's difference over p(1 - p), were rows independent."""
        return float((1 / self.rows).sum())


def _compare(
    codes: NDArray[np.integer], bins: int, recent: NDArray[np.bool_], clusters: Sequence[NDArray[np.integer]]
) -> _Difference | None:
    """Both periods' shares of each bin, and the covariance of their difference."""
    counts = np.array([np.bincount(codes[period], minlength=bins) for period in (~recent, recent)])
    covariance = np.zeros((bins, bins))
    for ids in clusters:
        of_cluster = _covariance(codes, bins, recent, ids)
        if of_cluster is None:
            return None
        covariance += of_cluster
    rows = counts.sum(axis=1)
    before, after = counts / rows[:, None]
    return _Difference(before, after, covariance, rows)


def _covariance(
    codes: NDArray[np.integer], bins: int, recent: NDArray[np.bool_], ids: NDArray[np.integer]
) -> NDArray[np.floating] | None:
    influence = np.zeros((int(ids.max()) + 1, bins))
    seen = np.bincount(ids, minlength=len(influence)) > 0
    for period, sign in ((~recent, -1), (recent, 1)):
        counts = np.bincount(ids[period] * bins + codes[period], minlength=influence.size).reshape(influence.shape)
        own = counts.sum(axis=1)
        total = own.sum()
        if np.count_nonzero(own) < MIN_CLUSTERS:
            return None
        influence += sign * (counts - counts.sum(axis=0) / total * own[:, None]) / (total - own)[:, None]
    influence = influence[seen]
    influence -= influence.mean(axis=0)
    return influence.T @ influence * (len(influence) / (len(influence) - 1))
