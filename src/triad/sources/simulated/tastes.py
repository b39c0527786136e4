"""How much a customer likes a product, regardless of its price. The page order and the funnel use it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triad.sources.simulated.catalogue import Products
from triad.sources.simulated.people import Customers

CATEGORY = 2.0  # logits between no interest in a broad category and all of it


def category_liking(people: Customers) -> NDArray[np.float64]:
    """(customers, broad categories) logits that a category adds."""
    return CATEGORY * (np.sqrt(people.broad_interest) - 0.4)


def brand_liking(people: Customers) -> NDArray[np.float64]:
    """(customers, brands) logits that a brand adds."""
    return people.trait("loyalty")[:, None] * people.favourite


def liking(people: Customers, goods: Products, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits that category and brand add, for `user` rows against `item` numbers of shapes that broadcast."""
    return category_liking(people)[user, goods.top[item]] + brand_liking(people)[user, goods.brand[item]]
