"""How demand moves with price: by how many per cent, if a price rises by one, in each category of a shop.

Each product is compared with itself at other prices, beside what the shop as a whole sold in that period and what a
promotion does by its name (`statistics.poisson`). A category's own figure is drawn toward the whole's as far as its
noise asks for it (`statistics.shrinkage`). What was never tried is not known: `tried` says how far prices moved.

A shop that lowers its prices when it expects to sell little, or whose price follows from the quantity bought, will
find a figure that is no effect of the price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from triad.advice.panel import Panel
from triad.arrays import Floats
from triad.errors import TriadError
from triad.statistics.poisson import slopes
from triad.statistics.shrinkage import drawn

FEWEST = 5
"""Products sold whose price moved that a figure needs: errors are clustered by product, and of fewer clusters they seem
far smaller than they are (of one, none at all)."""
WHOLE = ""
"""The category of products whose own has too few."""
TRIED = (0.02, 0.98)
"""Quantiles of prices' moves around each product's middle that count as tried."""


@dataclass(frozen=True)
class Elasticity:
    """Of a category: the per cent that demand moves by with a per cent of price."""

    mean: float
    deviation: float
    products: int  # that were sold
    tried: tuple[float, float]  # lowest and highest log of price over a product's middle one

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided, of a normal."""
        from scipy.special import ndtri

        wide = float(ndtri(0.5 + level / 2)) * self.deviation
        return self.mean - wide, self.mean + wide


def elasticities(panel: Panel) -> Mapping[str, Elasticity]:
    """Category → its elasticity; `WHOLE` is the shop's, with the spread between categories in its deviation.

    Raises:
        TriadError: no price moved, or those of so few products that nothing tells.
    """
    own = np.array(panel.category, dtype=object)
    sold = np.bincount(panel.item, panel.units, len(own)) > 0
    tells = sold & (_spread(panel) > 0)
    names = sorted({name for name in own.tolist() if name and (tells & (own == name)).sum() >= FEWEST})
    place = {name: number for number, name in enumerate(names)}
    code = np.array([place.get(name, len(names)) for name in own.tolist()])[panel.item]
    columns = np.zeros((len(panel.item), len(names) + 2))
    columns[np.arange(len(code)), code] = panel.log_price
    columns[:, -1] = panel.promoted
    slope, variance = slopes(panel.units, columns, (panel.item, panel.period), panel.item)
    if (tells & ~np.isin(own, names)).sum() < FEWEST:  # of the others together
        slope[len(names)] = np.nan
    shrunk = drawn(slope[:-1], np.sqrt(np.diag(variance))[:-1])
    if shrunk is None:
        mend = f"there is nothing to learn until the prices of {FEWEST} products or more have moved"
        what = f"only {tells.sum()} of the products sold had a price that moved" if tells.any() else "no price moved"
        raise TriadError(f"{what} while it was sold", where="table prices", mend=mend)
    moves = _moves(panel)
    told = {}
    for name in names:
        mine = place[name]
        products = int((sold & (own == name)).sum())
        told[name] = Elasticity(
            float(shrunk.mean[mine]), float(shrunk.deviation[mine]), products, _tried(moves[code == mine])
        )
    told[WHOLE] = Elasticity(shrunk.whole, shrunk.whole_deviation, int(sold.sum()), _tried(moves))
    return told


def of_category(known: Mapping[str, Elasticity], category: str) -> Elasticity:
    """A category's own, or the whole's."""
    return known.get(category) or known[WHOLE]


def _spread(panel: Panel) -> Floats:
    """(m,) log of each product's highest price over its lowest."""
    most, least = np.full(len(panel.item_id), -np.inf), np.full(len(panel.item_id), np.inf)
    np.maximum.at(most, panel.item, panel.log_price)
    np.minimum.at(least, panel.item, panel.log_price)
    return most - least


def _moves(panel: Panel) -> Floats:
    """(n,) log of the price over the product's mean one."""
    count = np.bincount(panel.item)
    return panel.log_price - (np.bincount(panel.item, panel.log_price) / np.maximum(count, 1))[panel.item]


def _tried(moves: Floats) -> tuple[float, float]:
    low, high = np.quantile(moves, TRIED)
    return float(low), float(high)
