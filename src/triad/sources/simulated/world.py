"""Everything that a day of traffic depends on."""

from __future__ import annotations

from dataclasses import dataclass

from triad.sources.simulated.catalogue import Products
from triad.sources.simulated.people import Customers
from triad.sources.simulated.prices import Prices
from triad.sources.simulated.queries import Queries
from triad.sources.simulated.sizes import Size


@dataclass(frozen=True)
class World:
    """The shop's state over a window."""

    seed: int
    size: Size
    goods: Products
    people: Customers
    prices: Prices
    queries: Queries
