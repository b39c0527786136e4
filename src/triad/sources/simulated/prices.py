"""Prices by day: log prices that drift and return to the list price, and promotions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from triad.sources.simulated.catalogue import Products
from triad.sources.simulated.chance import OPENING, generator

HALF_LIFE_DAYS = 5.5
SPREAD = 0.06  # stationary standard deviation of the log price around the list price
BEGIN, END = 0.05, 0.30  # daily chance that a promotion begins, and that a running one ends
DEPTHS = np.array([0.0, 0.15, 0.20, 0.25, 0.30])  # share taken off; place 0 is no promotion
HORIZON = 7  # days ahead that the oracle looks


@dataclass(frozen=True)
class Prices:
    """Days [first, first + days) of every product ever sold; each array (days, n)."""

    first: int
    cents: NDArray[np.int64]
    depth: NDArray[np.int8]  # place in DEPTHS
    deviation: NDArray[np.float32]  # of the log price from the list price, promotion apart

    def row(self, day: int) -> int:
        return day - self.first


def roll_prices(seed: int, goods: Products, first: int, last: int) -> Prices:
    """Prices of the days from `first` to `last`, both included, rolled forward from the opening.

    Log prices follow an Ornstein-Uhlenbeck process seen once a day, x' = φ x + σ √(1 - φ²) ε with φ = 2^(-1/half-life).
    """
    keep = 0.5 ** (1 / HALF_LIFE_DAYS)
    deviation, depth = np.zeros(0), np.zeros(0, np.int64)
    known = np.searchsorted(goods.arrived, np.arange(OPENING, last + 1), side="right")
    shape = (last - first + 1, len(goods.arrived))
    out = Prices(first, np.zeros(shape, np.int64), np.zeros(shape, np.int8), np.zeros(shape, np.float32))
    for day, count in zip(range(OPENING, last + 1), known, strict=True):
        random = generator(seed, "prices", day)
        shock, luck, chosen = (
            random.standard_normal(count),
            random.random(count),
            random.integers(1, len(DEPTHS), count),
        )
        fresh = count - len(deviation)
        moved = keep * deviation + SPREAD * np.sqrt(1 - keep**2) * shock[: len(deviation)]
        deviation = np.concatenate([moved, SPREAD * shock[len(moved) :]])
        depth = np.concatenate([depth, np.zeros(fresh, np.int64)])
        depth = np.where(depth > 0, np.where(luck < END, 0, depth), np.where(luck < BEGIN, chosen, 0))
        if day >= first:
            row = day - first
            cents = goods.list_cents[:count] * np.exp(deviation) * (1 - DEPTHS[depth])
            out.cents[row, :count] = np.maximum(np.rint(cents), 1)
            out.depth[row, :count] = depth
            out.deviation[row, :count] = deviation
    return out


def expected_move(rows: Prices) -> NDArray[np.float64]:
    """Conditional median of log(price in HORIZON days / price), given the true state; (days, n).

    The pull back is known; what is left is a Gaussian plus a jump whose law depends on today's promotion alone, so its
    median is one number a promotion state, found on the mixture's distribution function.
    """
    pull = 0.5 ** (HORIZON / HALF_LIFE_DAYS)
    noise = SPREAD * np.sqrt(1 - pull**2)
    jumps = np.log1p(-DEPTHS)
    medians = []
    for state, chances in enumerate(np.linalg.matrix_power(_transitions(), HORIZON)):
        centres = jumps - jumps[state]
        medians.append(brentq(lambda m, p=chances, c=centres: p @ ndtr((m - c) / noise) - 0.5, -1.0, 1.0))
    return (pull - 1) * rows.deviation + np.array(medians)[rows.depth]


def _transitions() -> NDArray[np.float64]:
    """(states, states) chances of tomorrow's promotion state (column) given today's (row)."""
    count = len(DEPTHS)
    chances = np.diag(np.r_[1 - BEGIN, np.full(count - 1, 1 - END)])
    chances[0, 1:] = BEGIN / (count - 1)
    chances[1:, 0] = END
    return chances
