"""The products: their category, quality, popularity and price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from triad.sources.simulated.chance import OPENING, arrivals, generator, lifetimes, pick
from triad.sources.simulated.sizes import Size
from triad.sources.simulated.taxonomy import BRANDS, LEAVES, TOP_OF_BRAND, TOP_OF_LEAF, TOPS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NOISE = 0.5  # deviation of `dearness` within a brand and category
AT_HOME = 0.8  # share of products whose brand is one of their broad category's own


@dataclass(frozen=True)
class Products:
    """Everything ever sold, in order of coming; each array (n,)."""

    arrived: Ints  # day the shop took it up
    available: Ints  # day it could first be bought: before `arrived` for those of the opening
    leaves_on: Ints  # first day it is gone
    leaf: Ints
    brand: Ints
    quality: Floats  # draws clicks
    value: Floats  # turns clicks into purchases
    popularity: Floats  # weight in the shop's own lists
    dearness: Floats  # log of list price over its category's middle price
    surprise: Floats  # the part of it, standard normal, that does not follow from the brand
    list_cents: Ints  # level that prices return to
    words: Ints  # (n, 5) raw choices of kind, material, colour, adjective, purpose

    @property
    def top(self) -> Ints:
        return TOP_OF_LEAF[self.leaf]

    def on_sale(self, day: int) -> Ints:
        """Numbers of the products that can be bought on `day`."""
        return np.flatnonzero((self.arrived <= day) & (day < self.leaves_on))

    def in_window(self, first: int) -> Ints:
        """Numbers of the products still on sale on day `first` or coming after it."""
        return np.flatnonzero(self.leaves_on > first)


def products(seed: int, size: Size, last: int) -> Products:
    """All products up to day `last`."""
    daily = size.products / size.product_days
    arrived, u = arrivals(seed, "products", initial=size.products, daily=daily, last=last, columns=16)
    z = ndtri(u)
    shop = generator(seed, "shop")
    brand_quality, brand_value = _spread(shop, 0.5, len(BRANDS)), _spread(shop, 0.5, len(BRANDS))
    leaf_quality, leaf_value = _spread(shop, 0.35, len(LEAVES)), _spread(shop, 0.5, len(LEAVES))
    leaf_weight = np.exp(_spread(shop, 0.25, len(LEAVES)))

    leaf = pick(u[:, 2], leaf_weight)
    top = TOP_OF_LEAF[leaf]
    own = len(BRANDS) // len(TOPS)
    brand = np.where(u[:, 3] < AT_HOME, top * own + (u[:, 4] * own).astype(int), (u[:, 4] * len(BRANDS)).astype(int))
    assert np.array_equal(TOP_OF_BRAND, np.arange(len(BRANDS)) // own)

    quality = brand_quality[brand] + leaf_quality[leaf] + 0.4 * z[:, 5]
    value = brand_value[brand] + leaf_value[leaf] + 0.3 * quality + 0.1 * z[:, 6]
    dearness = 0.25 * brand_quality[brand] + NOISE * z[:, 7]
    middle = np.array([entry.price for entry in LEAVES])[leaf]
    backdated = lifetimes(u[:, 1], size.product_days)
    return Products(
        arrived=arrived,
        available=np.where(arrived == OPENING, OPENING - backdated, arrived),
        leaves_on=arrived + 1 + lifetimes(u[:, 0], size.product_days),
        leaf=leaf,
        brand=brand,
        quality=quality,
        value=value,
        popularity=np.exp(0.5 * quality + 0.6 * z[:, 8]),
        dearness=dearness,
        surprise=z[:, 7],
        list_cents=np.rint(100 * middle * np.exp(dearness)).astype(np.int64),
        words=np.column_stack([(u[:, 9:13] * 60).astype(np.int64), np.rint(10 * (quality + 0.4 * z[:, 13]))]).astype(
            np.int64
        ),
    )


def _spread(random: np.random.Generator, deviation: float, count: int) -> Floats:
    """`count` normal draws with mean 0 and just this deviation: no seed's shop is duller than another."""
    draws = random.standard_normal(count)
    return deviation * (draws - draws.mean()) / draws.std()
