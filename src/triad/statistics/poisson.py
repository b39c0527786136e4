"""Poisson regression with fixed effects: how a count moves with a few columns, beside what its groups have in common.

log E[y] = x · β + an effect of each group. The estimate holds for any count whose mean is of this form, however it is
spread, and zeros need no care (Santos Silva and Tenreyro, "The Log of Gravity", 2006). The groups' effects are swept
out of each weighted step (Correia, Guimarães and Zylkin, "ppmlhdfe", 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triad.arrays import Bools, Floats, Ints

STEPS, SWEEPS, TOLERANCE, NEAR = 60, 500, 1e-8, 1e-7
FLAT = 1e-9
"""Share of a column's spread that must be left beside the groups; below it nothing tells its slope."""


def slopes(counts: Floats, columns: Floats, groups: Sequence[Ints], cluster: Ints) -> tuple[Floats, Floats]:
    """(k,) slopes and their (k, k) covariance, robust to rows of one cluster moving together; NaN where not told.

    Args:
        counts: (n,) from 0.
        columns: (n, k).
        groups: of each kind of group, (n,) which one a row is in.
        cluster: (n,).
    """
    kept = _telling(counts, groups)
    y, x, cluster = counts[kept], columns[kept], np.unique(cluster[kept], return_inverse=True)[1]
    codes = [np.unique(group[kept], return_inverse=True)[1] for group in groups]
    slope, variance = np.full(x.shape[1], np.nan), np.full((x.shape[1], x.shape[1]), np.nan)
    if not len(y):
        return slope, variance
    spread = _swept(x, np.ones(len(y)), codes)
    told = np.flatnonzero((spread**2).sum(axis=0) > FLAT * np.maximum((x**2).sum(axis=0), 1e-300))
    if not len(told):
        return slope, variance
    x = x[:, told]
    mean = (y + y.mean()) / 2
    level, fit = np.log(mean), np.inf
    for _ in range(STEPS):
        work = level + (y - mean) / mean
        swept = _swept(np.column_stack([work, x]), mean, codes)
        target, inner = swept[:, 0], swept[:, 1:]
        weighted = inner * mean[:, None]
        solution = np.linalg.lstsq(weighted.T @ inner, weighted.T @ target, rcond=None)[0]
        level = np.clip(work - (target - inner @ solution), -30, 30)
        mean = np.exp(level)
        last, fit = fit, float((mean - y * level).sum())
        if abs(last - fit) < TOLERANCE * (abs(fit) + 1):
            break
    bread = np.linalg.pinv(weighted.T @ inner)
    pull = inner * (y - mean)[:, None]
    by = np.column_stack([np.bincount(cluster, column) for column in pull.T])
    number = len(by)
    slope[told] = solution
    variance[np.ix_(told, told)] = bread @ (by.T @ by) @ bread * number / max(number - 1, 1)
    return slope, variance


def _telling(counts: Floats, groups: Sequence[Ints]) -> Bools:
    """Rows of no group without a count: its effect would be −∞, whatever the columns say."""
    kept = np.ones(len(counts), bool)
    while True:
        before = int(kept.sum())
        for group in groups:
            _, code = np.unique(group, return_inverse=True)
            kept &= np.bincount(code, counts * kept)[code] > 0
        if int(kept.sum()) == before:
            return kept


def _swept(columns: Floats, weight: Floats, codes: Sequence[Ints]) -> Floats:
    """(n, k) what is left of the columns beside their groups' weighted means, by turns until nothing changes."""
    left = columns.astype(np.float64, copy=True)
    sums = [np.bincount(code, weight) for code in codes]
    scale = np.maximum(np.abs(left).max(axis=0), 1e-12)
    for _ in range(SWEEPS if len(codes) > 1 else 1):
        moved = 0.0
        for code, total in zip(codes, sums, strict=True):
            for k in range(left.shape[1]):
                mean = np.bincount(code, weight * left[:, k]) / total
                left[:, k] -= mean[code]
                moved = max(moved, float(np.abs(mean).max() / scale[k]))
        if moved < NEAR:
            break
    return left
