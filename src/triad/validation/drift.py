"""Do the last days look like those before? Tests that know rows come from people, and that many columns are asked.

A user's events resemble each other, so n rows are worth fewer than n draws. Here the user is the unit: the covariance
of the difference between two histograms is that of per-user influences, each user left out in turn (delete-one
jackknife), which also accounts for users who are seen in both periods. Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, kstwobign

BINS = 32
"""Categories kept of a column (the rarest are pooled), or quantile bins of a number."""

MIN_USERS = 30
"""Users needed in each period: with fewer their scatter cannot be told."""


@dataclass(frozen=True)
class Drift:
    """How one column's last days differ from those before.

    Args:
        effect: Cramér's V of a table with both periods weighing the same, or the Kolmogorov-Smirnov distance.
        p_value: of "both periods are draws of one distribution", before correction for the number of columns.
        users: how many people the column was seen of.
        moved: the shares that moved most, in words.
        new: categories that the days before did not know.
    """

    column: str
    kind: Literal["categorical", "numeric"]
    effect: float
    p_value: float
    users: int
    moved: str
    new: tuple[str, ...] = ()


def categorical(
    column: str, values: NDArray[np.object_], recent: NDArray[np.bool_], user: NDArray[np.integer]
) -> Drift | None:
    """Drift of a categorical column; None where fewer than `MIN_USERS` are seen in either period, or one category is.

    The statistic is Pearson's X² with the second-order correction of Rao and Scott (1984) for clustered rows.

    Args:
        values: (n,) categories as text; None is a category of its own.
        recent: (n,) whether the row lies in the last days.
        user: (n,) whose row it is, 0 … users - 1.
    """
    names, codes = np.unique(np.where(values == None, "(none)", values).astype(str), return_inverse=True)  # noqa: E711
    table = np.array(
        [np.bincount(codes[~recent], minlength=len(names)), np.bincount(codes[recent], minlength=len(names))]
    )
    new = tuple(names[(table[0] == 0) & (table[1] > 0)][:20].tolist())
    order = np.argsort(-table.sum(axis=0), kind="stable")
    names, rank = names[order], np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    codes = np.minimum(rank[codes], BINS - 1)
    if len(names) > BINS:
        names = np.array([*names[: BINS - 1], "(others)"])
    found = _compare(codes, len(names), recent, user)
    if found is None or len(names) < 2:
        return None
    pooled = (found.before * found.rows[0] + found.after * found.rows[1]) / found.rows.sum()
    information = 1 / (pooled * found.noise)
    statistic = float(np.sum(found.difference**2 * information))
    scaled = found.covariance * np.sqrt(np.outer(information, information))
    mean, square = np.trace(scaled), np.sum(scaled**2)
    # the eigenvalues' sum and sum of squares give the χ² that has the first two moments of the statistic
    p_value = float(chi2.sf(statistic * mean / square, mean**2 / square)) if square > 0 else 1.0
    middle = (found.before + found.after) / 2
    effect = float(np.sqrt(np.sum(found.difference**2 / middle) / 4))
    most = np.argsort(-np.abs(found.difference), kind="stable")[:3]
    moved = ", ".join(f"{names[i]} {found.before[i]:.1%} → {found.after[i]:.1%}" for i in most)
    return Drift(column, "categorical", effect, p_value, found.users, moved, new)


def numeric(
    column: str, values: NDArray[np.floating], recent: NDArray[np.bool_], user: NDArray[np.integer]
) -> Drift | None:
    """Drift of a number; rows with NaN are left out. None where too few users are seen or the number never changes.

    The statistic is Kolmogorov and Smirnov's distance between `BINS` pooled quantiles, and its p-value that of as many
    independent rows as give the distance the same variance, at the quantile where that is worst.
    """
    seen = np.isfinite(values)
    values, recent, user = values[seen], recent[seen], user[seen]
    if not len(values):
        return None
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges < values.max()]
    codes = np.searchsorted(edges, values, side="left")
    found = _compare(codes, len(edges) + 1, recent, user)
    if found is None or not len(edges):
        return None
    gaps = np.cumsum(found.difference)[:-1]
    variance = np.diag(np.cumsum(np.cumsum(found.covariance, axis=0), axis=1))[:-1]
    below = np.cumsum(np.bincount(codes, minlength=len(edges) + 1))[:-1] / len(codes)
    independent = below * (1 - below) * found.noise
    central = (below > 0.05) & (below < 0.95)
    effects = (variance / independent)[central if central.any() else slice(None)]
    design = max(float(effects.max()), 1.0)
    distance = float(np.abs(gaps).max())
    p_value = float(kstwobign.sf(distance / np.sqrt(found.noise * design)))
    quarters = [np.quantile(part, (0.25, 0.5, 0.75)) for part in (values[~recent], values[recent])]
    told = [f"{median:,.4g} ({low:,.4g} to {high:,.4g})" for low, median, high in quarters]
    return Drift(column, "numeric", distance, p_value, found.users, f"median and quartiles {told[0]} → {told[1]}")


def holm(p_values: Sequence[float]) -> NDArray[np.floating]:
    """p-values corrected for their number: rejecting those ≤ α errs at all with probability ≤ α (Holm, 1979)."""
    plain = np.asarray(p_values, float)
    order = np.argsort(plain, kind="stable")
    corrected = np.empty(len(plain))
    corrected[order] = np.minimum(np.maximum.accumulate(plain[order] * np.arange(len(plain), 0, -1)), 1)
    return corrected


@dataclass(frozen=True)
class _Difference:
    before: NDArray[np.floating]  # (bins,) shares
    after: NDArray[np.floating]  # (bins,) shares
    covariance: NDArray[np.floating]  # (bins, bins) of after - before, by users
    rows: NDArray[np.integer]  # (2,)
    noise: float  # 1/rows[0] + 1/rows[1]: the variance of a share's difference over p(1 - p) were rows independent
    users: int

    @property
    def difference(self) -> NDArray[np.floating]:
        return self.after - self.before


def _compare(
    codes: NDArray[np.integer], bins: int, recent: NDArray[np.bool_], user: NDArray[np.integer]
) -> _Difference | None:
    """Both periods' shares of each bin, and the covariance of their difference."""
    names, user = np.unique(user, return_inverse=True)
    people, shares, rows, influence = len(names), [], [], np.zeros((len(names), bins))
    for period, sign in ((~recent, -1), (recent, 1)):
        counts = np.bincount(user[period] * bins + codes[period], minlength=people * bins).reshape(people, bins)
        own = counts.sum(axis=1)
        total = own.sum()
        if np.count_nonzero(own) < MIN_USERS or own.max() == total:
            return None
        share = counts.sum(axis=0) / total
        influence += sign * (counts - share * own[:, None]) / (total - own)[:, None]
        shares.append(share)
        rows.append(total)
    influence -= influence.mean(axis=0)
    covariance = influence.T @ influence * (people / (people - 1))
    counted = np.array(rows)
    return _Difference(shares[0], shares[1], covariance, counted, float((1 / counted).sum()), people)
