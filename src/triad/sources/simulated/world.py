"""Everything that a day of traffic depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from triad.sources.simulated.catalogue import Products
from triad.sources.simulated.people import Customers
from triad.sources.simulated.prices import Prices
from triad.sources.simulated.queries import Queries
from triad.sources.simulated.sizes import Size
from triad.sources.simulated.trends import Trends


@dataclass(frozen=True)
class World:
    """The shop's state over a window."""

    seed: int
    size: Size
    goods: Products
    people: Customers
    prices: Prices
    queries: Queries
    trends: Trends

    def on(self, day: int) -> World:
        """The same shop with its products and customers as `day` finds them."""
        goods, people = self.trends.goods_on(self.goods, day), self.trends.people_on(self.people, day)
        return replace(self, goods=goods, people=people)
