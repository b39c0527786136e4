"""How much a product draws clicks wherever it stands: what is clicked at the top is clicked because it is at the top.

The position-based model (Craswell et al. 2008, doi:10.1145/1341531.1341545): a product is clicked when its place is
looked at and it attracts, P(click) = θ(place) · γ(query, product). Both are found by expectation and maximisation from
pages that showed the same pair at several places.
"""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats, Ints

PULL = 4.0
"""Pages that speak for the mean attractiveness, where a pair was shown on few."""
STEPS = 200
DEEPEST = 50
"""Places further down are as this one."""


def attractiveness(pair: Ints, place: Ints, clicked: Floats, pairs: int) -> tuple[Floats, Ints]:
    """(pairs,) γ of each pair, and how many pages showed it.

    Args:
        pair, place, clicked: (n,) of each time a pair was shown; places count from 1.
    """
    chance, _, pages = fit(pair, place, clicked, pairs)
    return chance, pages


def fit(pair: Ints, place: Ints, clicked: Floats, pairs: int) -> tuple[Floats, Floats, Ints]:
    """γ (pairs,), θ (places,) with θ = 1 at the first place, and the pages that showed each pair."""
    pages = np.bincount(pair, minlength=pairs)
    if not len(pair):
        return np.zeros(pairs), np.ones(1), pages
    at = np.minimum(place, DEEPEST) - 1
    at = np.maximum(at, 0)
    width = int(at.max()) + 1
    key, index = np.unique(pair * width + at, return_inverse=True)
    shown, clicks = np.bincount(index).astype(np.float64), np.bincount(index, clicked)
    row, column = np.divmod(key, width)
    mean = max(float(clicked.mean()), 1e-6)
    looked = (np.bincount(column, clicks, width) + mean) / (np.bincount(column, shown, width) + 1)
    looked = looked / max(looked[0], 1e-9)
    looked = np.clip(looked, 1e-3, 1.0)
    draws = np.full(pairs, min(mean / float(looked @ np.bincount(column, shown, width) / shown.sum()), 0.5))
    for _ in range(STEPS):
        missed = shown - clicks
        both = looked[column] * draws[row]
        unseen = np.maximum(1 - both, 1e-9)
        was_looked = clicks + missed * looked[column] * (1 - draws[row]) / unseen
        did_draw = clicks + missed * draws[row] * (1 - looked[column]) / unseen
        prior = float(did_draw.sum() / shown.sum())
        new = (np.bincount(row, did_draw, pairs) + PULL * prior) / (np.bincount(row, shown, pairs) + PULL)
        theta = np.bincount(column, was_looked, width) / np.maximum(np.bincount(column, shown, width), 1e-9)
        theta = np.clip(theta / max(theta[0], 1e-9), 1e-4, 1.0)
        done = np.abs(new - draws).max() < 1e-6 and np.abs(theta - looked).max() < 1e-6
        draws, looked = np.clip(new, 1e-6, 1 - 1e-6), theta
        if done:
            break
    return draws, looked, pages


def grades_of(chance: Floats) -> Floats:
    """0 … 3 by thirds of the range up to the 95th percentile, rounded."""
    if not len(chance):
        return chance
    low, high = np.quantile(chance, (0.05, 0.95))
    return np.clip(np.rint(3 * (chance - low) / max(float(high - low), 1e-9)), 0, 3)
