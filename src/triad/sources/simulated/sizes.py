"""The sizes of a simulated shop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Counts at any moment; the tables of a window hold those who came and left within it as well."""

    customers: int  # alive at once
    products: int  # on sale at once
    visits: float = 0.17  # expected a customer and day
    customer_days: float = 150.0  # mean days from sign-up to leaving
    product_days: float = 400.0  # mean days on sale
    messages: float = 25.0  # expected customer messages a day


SIZES = {
    "tiny": Size(customers=230, products=135, messages=6.0),
    "small": Size(customers=2_350, products=890),
    "large": Size(customers=47_000, products=17_800, messages=500.0),
}
