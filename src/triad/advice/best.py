"""The price that is best within bounds, and what is not known of it. A price is never told without its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from triad.advice.elasticity import Elasticity
from triad.advice.wish import Wish

DRAWS, GRID = 2_001, 161
SAME = 0.005
"""A move of the price that is none."""
MOST = 50.0
"""Log of how far demand is thought to move: what is hardly known is still told in numbers."""
Verdict = Literal["raise", "lower", "keep", "not enough evidence"]


@dataclass(frozen=True)
class Advice:
    """Shares of the present price. `price` is None without enough evidence; `best` is told all the same."""

    verdict: Verdict
    price: float | None
    best: tuple[float, float]  # interval of the best price
    gain: tuple[float, float, float]  # expected, lowest and highest gain of the aim at `price`, of 1


def advise(known: Elasticity, wish: Wish) -> Advice:
    """Best on average over what is believed of the elasticity, within the wish's bounds and the prices that were tried.

    (m − c) · m^ε is what is earned at m times the price, if a unit costs c of it and demand moves with m^ε.
    """
    low = max(np.log(wish.lowest), known.tried[0])
    high = min(np.log(wish.highest), known.tried[1])
    if wish.cost > 0:
        low = max(low, np.log(wish.cost) + 1e-6)
    if known.tried[1] - known.tried[0] < SAME and wish.highest / wish.lowest > 1 + SAME:  # as good as no other price
        return Advice("not enough evidence", None, (1.0, 1.0), (0.0, 0.0, 0.0))
    draws = known.mean + known.deviation * ndtri((np.arange(DRAWS) + 0.5) / DRAWS)
    move = np.unique(np.append(np.linspace(min(low, 0), max(high, 0), GRID), 0.0))
    earned = (np.exp(move) - wish.cost) / (1 - wish.cost) * np.exp(np.clip(np.outer(draws, move), -MOST, MOST))
    tail = (1 - wish.level) / 2
    best = np.exp(np.quantile(move[earned.argmax(axis=1)], (tail, 1 - tail), method="nearest"))
    at = int(earned.mean(axis=0).argmax())
    gain = earned[:, at] - 1
    worst, most = np.quantile(gain, (tail, 1 - tail))
    told = float(gain.mean()), float(worst), float(most)
    interval = float(best[0]), float(best[1])
    if abs(move[at]) < SAME and max(abs(np.log(interval[0])), abs(np.log(interval[1]))) < 2 * SAME:
        return Advice("keep", 1.0, interval, told)
    if told[1] <= 0:
        return Advice("not enough evidence", None, interval, told)
    return Advice("raise" if move[at] > 0 else "lower", float(np.exp(move[at])), interval, told)
