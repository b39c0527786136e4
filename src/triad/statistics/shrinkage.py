"""Estimates of many groups, drawn toward what the groups have in common, as far as their own noise asks for it.

The groups' true values are normal around a common mean (a random-effects model). The spread between them is Paule and
Mandel's (1982), the estimates are empirical Bayes (Morris 1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from triad.arrays import Floats


@dataclass(frozen=True)
class Drawn:
    """(g,) mean and deviation of each group's value, and those of a group of which nothing is known."""

    mean: Floats
    deviation: Floats
    whole: float
    whole_deviation: float
    between: float  # deviation of the groups' true values


def drawn(estimate: Floats, deviation: Floats) -> Drawn | None:
    """(g,) estimates and their standard errors, NaN where a group has none; None where no group has one."""
    known = np.isfinite(estimate) & np.isfinite(deviation) & (deviation > 0)
    if not known.any():
        return None
    value, noise = estimate[known], deviation[known] ** 2

    def excess(between: float) -> float:
        weight = 1 / (noise + between)
        middle = (weight * value).sum() / weight.sum()
        return float((weight * (value - middle) ** 2).sum() - (len(value) - 1))

    between = 0.0
    if len(value) > 1 and excess(0.0) > 0:
        between = float(brentq(excess, 0.0, float(np.ptp(value) ** 2 + noise.max()) * len(value)))
    weight = 1 / (noise + between)
    middle, unsure = float((weight * value).sum() / weight.sum()), float(1 / weight.sum())
    mean, variance = np.full(len(estimate), middle), np.full(len(estimate), between + unsure)
    pull = noise / (noise + between)
    mean[known] = pull * middle + (1 - pull) * value
    variance[known] = (1 - pull) * noise + pull**2 * unsure
    return Drawn(mean, np.sqrt(variance), middle, float(np.sqrt(between + unsure)), float(np.sqrt(between)))
