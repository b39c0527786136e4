"""The customers: segments, and what each customer likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, softmax

from triad.sources.simulated.chance import OPENING, arrivals, lifetimes, pick
from triad.sources.simulated.sizes import Size
from triad.sources.simulated.taxonomy import BRANDS, LEAVES, TOP_OF_BRAND, TOP_OF_LEAF, TOPS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SEGMENTS = ("bargain_hunter", "brand_loyal", "explorer", "gift_buyer")
SEGMENT_SHARES = np.array([0.30, 0.25, 0.25, 0.20])
COUNTRIES, COUNTRY_SHARES = ("DE", "FR", "NL", "PL", "ES"), np.array([0.34, 0.24, 0.16, 0.14, 0.12])
DEVICES, DEVICE_SHARES = ("mobile", "desktop", "tablet"), np.array([0.58, 0.33, 0.09])
DECLARED = 0.6  # share of customers whose segment a survey tells

TRAITS = ("sensitivity", "deals", "loyalty", "search", "browse", "resolve")
"""Beside one number a broad category: dislike of high prices, love of promotions, weight of favourite brands, leaning
to the search and category surfaces, and readiness to buy what was clicked."""

# fmt: off
MEANS = np.array([
    # home  kitchen fashion beauty electr. outdoor  sens. deals loyal search browse resolve
    [  0.2,   0.6,  -0.3,   -0.2,    0.4,   -0.2,   1.4,  0.9,  0.2,  -0.3,   0.7,  -0.15],  # bargain_hunter
    [ -0.2,  -0.2,   0.7,    0.4,   -0.2,   -0.1,   0.4,  0.2,  0.7,   0.8,  -0.2,   0.15],  # brand_loyal
    [ -0.1,  -0.2,  -0.2,   -0.3,    0.4,    0.8,   0.9,  0.3,  0.2,  -0.6,  -0.5,  -0.25],  # explorer
    [  0.7,   0.2,  -0.1,    0.5,   -0.5,   -0.4,   0.7,  0.5,  0.2,   0.4,   0.5,   0.25],  # gift_buyer
])
SPREADS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.42, 0.55, 0.2, 0.9, 0.9, 0.15])
# fmt: on

FAVOURITES = 3  # brands a customer prefers
CONCENTRATION = 2.0  # how sharply the latent vector becomes shares of interest


@dataclass(frozen=True)
class Customers:
    """Those alive on the window's first day or coming after it, in order of coming; each (n,) unless said otherwise."""

    number: Ints
    arrived: Ints  # day
    signed_up: Ints  # µs since the epoch
    leaves_on: Ints
    segment: Ints
    declared: NDArray[np.bool_]
    country: Ints
    device: Ints
    activity: Floats  # multiplies the shop's visits a customer and day
    latent: Floats  # (n, broad categories + traits)
    broad_interest: Floats  # (n, broad categories) share of interest
    interest: Floats  # (n, leaves) share of interest
    favourite: NDArray[np.bool_]  # (n, brands)

    def trait(self, name: str) -> Floats:
        """(n,) one of TRAITS."""
        return self.latent[:, len(TOPS) + TRAITS.index(name)]

    def alive(self, day: int) -> Ints:
        """Rows of those who are customers on `day`."""
        return np.flatnonzero((self.arrived <= day) & (day < self.leaves_on))


def customers(seed: int, size: Size, first: int, last: int) -> Customers:
    """All customers seen from day `first` to day `last`."""
    width = MEANS.shape[1]
    columns = 9 + width + len(LEAVES) + len(BRANDS)
    daily = size.customers / size.customer_days
    arrived, u = arrivals(seed, "customers", initial=size.customers, daily=daily, last=last, columns=columns)
    leaves_on = arrived + 1 + lifetimes(u[:, 0], size.customer_days)
    number = np.flatnonzero(leaves_on > first)
    arrived, leaves_on, u = arrived[number], leaves_on[number], u[number]

    segment = pick(u[:, 2], SEGMENT_SHARES)
    latent = MEANS[segment] + SPREADS * ndtri(u[:, 9 : 9 + width])
    tops = softmax(CONCENTRATION * latent[:, : len(TOPS)], axis=1)
    within = np.exp(0.5 * ndtri(u[:, 9 + width : 9 + width + len(LEAVES)]))
    for top in range(len(TOPS)):
        own = top == TOP_OF_LEAF
        within[:, own] /= within[:, own].sum(axis=1, keepdims=True)
    # the FAVOURITES largest of log weight + Gumbel noise are a draw without replacement by weight
    keys = np.log(tops[:, TOP_OF_BRAND]) - np.log(-np.log(u[:, -len(BRANDS) :]))
    favourite = keys >= np.partition(keys, -FAVOURITES, axis=1)[:, [-FAVOURITES]]

    early = OPENING - 1 - lifetimes(u[:, 1], size.customer_days)
    day = np.where(arrived == OPENING, early, arrived)
    seconds = 3600 * (6 + 17 * u[:, 3])
    return Customers(
        number=number,
        arrived=arrived,
        signed_up=day * 86_400_000_000 + (seconds * 1e6).astype(np.int64),
        leaves_on=leaves_on,
        segment=segment,
        declared=u[:, 4] < DECLARED,
        country=pick(u[:, 5], COUNTRY_SHARES),
        device=pick(u[:, 6], DEVICE_SHARES),
        activity=np.exp(0.5 * ndtri(u[:, 7]) - 0.125),
        latent=latent,
        broad_interest=tops,
        interest=tops[:, TOP_OF_LEAF] * within,
        favourite=favourite,
    )


def segment_chances(latent: Floats) -> Floats:
    """P(segment | latent vector), (n, segments), by Bayes from the Gaussian mixture the vectors are drawn from."""
    z = (latent[:, None, :] - MEANS) / SPREADS
    return softmax(np.log(SEGMENT_SHARES) - 0.5 * (z**2).sum(axis=2), axis=1)
