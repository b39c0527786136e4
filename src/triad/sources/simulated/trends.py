"""How demand moves with time: products have a life, fashions and seasons come and go, customers' tastes drift.

All of it is in place before a day begins: it moves what products are worth and what customers look for that day, from
which pages, clicks and purchases are drawn. So the probabilities of the oracle hold it exactly, as they hold all else.
Each movement is a wave around the level that it has without trends, and follows from seed and day alone. Levels,
texts, pictures and prices stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from triad.sources.simulated.catalogue import Floats, Products
from triad.sources.simulated.chance import OPENING, generator
from triad.sources.simulated.people import Customers
from triad.sources.simulated.taxonomy import BRANDS, COLOURS, LEAVES, TOP_OF_LEAF, TOPS

OWN, BRAND, COLOUR, MATERIAL = 0.25, 0.2, 0.2, 0.2
"""Deviations of what a product's own wave adds to its appeal, and that of its brand, its colour and its material."""
LIFE, PEAK = 0.8, 14.0
"""What a product of PEAK days has more in appeal than one that is old. At five times that an eleventh is left."""
SEASON, MOOD = 0.2, 0.3
"""Deviations of the log interest in a category: of all customers alike, and of each one alone."""
FOLLOWED, VALUED = 1.0, 0.3
"""What a unit of appeal adds to the log weight in the shop's own lists, and to what turns clicks into purchases."""
PERIODS = (45.0, 150.0)
"""Days from one height of a wave to the next, least and most."""


@dataclass(frozen=True)
class Waves:
    """Cosines of deviation 1; both arrays are of one shape."""

    frequency: Floats  # turns a day
    phase: Floats  # turns

    def on(self, day: int) -> Floats:
        """Their heights on `day`."""
        return np.sqrt(2) * np.cos(2 * np.pi * ((day - OPENING) * self.frequency + self.phase))


@dataclass(frozen=True)
class Trends:
    """The movements of a shop; `strength` multiplies them all, 0 is none."""

    strength: float
    own: Waves  # (products,)
    brand: Waves  # (brands,)
    colour: Waves  # (colours,)
    material: Waves  # (broad categories, materials)
    season: Waves  # (leaves,)
    mood: Waves  # (customers, leaves)

    def goods_on(self, goods: Products, day: int) -> Products:
        """`goods` as they appeal on `day`."""
        if not self.strength:
            return goods
        appeal, sale = self.strength * self.appeal(goods, day), goods.on_sale(day)
        weight = goods.popularity[sale] * np.exp(FOLLOWED * appeal[sale])
        appeal -= appeal[sale] @ weight / max(weight.sum(), 1e-9)
        return replace(
            goods,
            quality=goods.quality + appeal,
            value=goods.value + VALUED * appeal,
            popularity=goods.popularity * np.exp(FOLLOWED * appeal),
        )

    def appeal(self, goods: Products, day: int) -> Floats:
        """(n,) what fashions and its life add to each product on `day`."""
        materials = len(TOPS[0].materials)
        wave = OWN * self.own.on(day) + BRAND * self.brand.on(day)[goods.brand]
        wave += COLOUR * self.colour.on(day)[goods.words[:, 2] % len(COLOURS)]
        wave += MATERIAL * self.material.on(day)[goods.top, goods.words[:, 1] % materials]
        return wave + LIFE * life((day - goods.available).astype(np.float64))

    def people_on(self, people: Customers, day: int) -> Customers:
        """`people` with the interests that they have on `day`. Who they are stays: their segment, traits and brands."""
        if not self.strength:
            return people
        moved = self.strength * (SEASON * self.season.on(day) + MOOD * self.mood.on(day))
        interest = people.interest * np.exp(moved)
        interest /= interest.sum(axis=1, keepdims=True)
        broad = interest @ np.eye(len(TOPS))[TOP_OF_LEAF]
        return replace(people, interest=interest, broad_interest=broad)


def life(age: Floats) -> Floats:
    """What a product's age in days adds: it rises from 0 to 1 at PEAK days, and fades to 0 again; before launch 0."""
    part = np.maximum(age, 0) / PEAK
    return part * np.exp(1 - part)


def moving(seed: int, strength: float, goods: Products, people: Customers) -> Trends:
    """The movements of a shop: those of a product or a customer do not change when later ones come."""
    shop, products, customers = (generator(seed, "trends", which) for which in range(3))
    everyone = int(people.number.max(initial=-1)) + 1 if strength else 0
    mood = _waves(customers, everyone, len(LEAVES))
    of = people.number if strength else slice(0)
    return Trends(
        strength,
        brand=_waves(shop, len(BRANDS)),
        colour=_waves(shop, len(COLOURS)),
        material=_waves(shop, len(TOPS), len(TOPS[0].materials)),
        season=_waves(shop, len(LEAVES)),
        own=_waves(products, len(goods.leaf)),
        mood=Waves(mood.frequency[of], mood.phase[of]),
    )


def _waves(random: np.random.Generator, *shape: int) -> Waves:
    """Periods are spread evenly in logarithms. Rows are drawn one after another: more of them change none before."""
    luck = random.random((*shape, 2))
    longest, shortest = np.log(PERIODS[1]), np.log(PERIODS[0])
    return Waves(np.exp(-(shortest + (longest - shortest) * luck[..., 0])), luck[..., 1])
