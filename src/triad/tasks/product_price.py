"""What a product like this one costs, from what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class ProductPrice(Label):
    """log1p of the list price in cents. A price of zero is none: it says that nobody priced the product."""

    name = "product_price"
    kinds = ("regression",)
    unit = "products"
    options = ()
    cluster = "kin"
    slices = ()  # its unit says them
    reads = ()
    covers = 0.9  # never a price without its interval
    calibrates = (
        "validation",
        "fusion",
    )  # folds of products alike, and few of one: on validation dials alone are chosen
    question = "What does a product like this one cost, from what it is? (log of 1 + cents)"

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        cents = np.asarray(rows["price_cents"], np.float64)
        return np.where(cents > 0, np.log1p(np.maximum(cents, 0)), np.nan).astype(np.float32)

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("products", ("item_id",), ("log_price",))

    def miss(self, value: float) -> str:
        return f", about {np.expm1(value):.0%} of the price"


LABEL = ProductPrice()
