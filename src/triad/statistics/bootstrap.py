"""The bootstrap over users: all metrics, models and tasks share one set of draws, so all differences are paired.

Row 0 of every estimate is the sample itself and rows 1… are its resamples: one formula gives a metric and its
spread, and two models' estimates subtract into a paired difference. Drawing users and not rows keeps a user's
exposures together, which are anything but independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Floats, Ints

Estimate = NDArray[np.float64]
"""(1 + resamples,): the value, then one value a resample; NaN where a resample leaves the metric undefined."""

_CELLS = 1 << 23  # doubles held at once where resamples meet rows


@dataclass(frozen=True)
class Draws:
    """How often each cluster (a user, mostly) was drawn: (1 + resamples, clusters), row 0 all ones."""

    multiplicity: NDArray[np.uint8]

    def totals(self, cluster: Ints, values: Floats) -> NDArray[np.float64]:
        """(1 + resamples, s) sums of `values` (n, s) over the rows of the drawn clusters; `cluster` is (n,)."""
        clusters = self.multiplicity.shape[1]
        columns = np.asarray(values, dtype=np.float64).T
        sums = np.stack([np.bincount(cluster, column, minlength=clusters) for column in columns], axis=1)
        return np.concatenate([block @ sums for block in self.blocks(clusters)])

    def blocks(self, width: int) -> Iterator[NDArray[np.float64]]:
        """The multiplicities, some resamples at a time, so that an array `width` wide a resample stays small."""
        step = max(1, _CELLS // max(width, 1))
        for start in range(0, len(self.multiplicity), step):
            yield self.multiplicity[start : start + step].astype(np.float64)


def draw(clusters: int, resamples: int, seed: int) -> Draws:
    """Draws of `clusters` clusters, each Poisson(1) times (Owen & Eckles 2012, "Bootstrapping data arrays …")."""
    counts = np.random.default_rng(seed).poisson(1.0, (resamples, clusters))
    return Draws(np.concatenate([np.ones((1, clusters), np.uint8), counts.astype(np.uint8)]))


def value(estimate: Estimate) -> float:
    """The metric on the sample itself."""
    return float(estimate[0])


def interval(estimate: Estimate, confidence: float, *, reflected: bool = False) -> tuple[float, float]:
    """The percentile interval; NaN, NaN where the metric is undefined on the sample or on half of the resamples.

    `reflected` gives the basic bootstrap interval (Davison & Hinkley 1997, 5.2), for a metric that resampling itself
    pushes upwards, as it does a calibration error.
    """
    defined = _defined(estimate)
    if defined is None:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    if reflected:
        low, high = max(2 * estimate[0] - high, 0.0), max(2 * estimate[0] - low, 0.0)
    return float(low), float(high)


def normal_interval(estimate: Estimate, confidence: float) -> tuple[float, float]:
    """Value ± z · bootstrap standard error: also for levels that few resamples cannot resolve as percentiles."""
    defined = _defined(estimate)
    if defined is None:
        return float("nan"), float("nan")
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.std(defined, ddof=1))
    return value(estimate) - reach, value(estimate) + reach


def _defined(estimate: Estimate) -> Estimate | None:
    resamples = estimate[1:]
    defined = resamples[np.isfinite(resamples)]
    return defined if np.isfinite(estimate[0]) and len(defined) * 2 > len(resamples) else None
