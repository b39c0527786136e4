"""From an impression to a click, a cart and a purchase: true probabilities, outcomes, times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from triad.sources.simulated.chance import generator
from triad.sources.simulated.pages import Shown
from triad.sources.simulated.people import Customers
from triad.sources.simulated.tastes import liking
from triad.sources.simulated.world import World

Floats = NDArray[np.float64]

CLICK, CART, BUY = -2.3, -1.88, -0.1  # logits of a product of no special merit in the first place of the home page
PLACE = 0.65  # logits lost each time the place on the page is e times as far down
ON_SURFACE = np.array([0.0, 0.7, 0.2])
READY = np.array([0.0, 0.9, 0.2])  # what a surface adds to the readiness to buy
# logits for everyone, and for each unit of the customer's trait on top
DEAR_CLICK, DEAR_CART = (-0.25, -0.5), (-0.4, -0.5)  # a price e times its category's; trait sensitivity
DEAL_CLICK, DEAL_CART = (0.15, 0.45), (0.2, 0.4)  # a promotion; trait deals
RESOLVE = (0.8, 0.4)  # trait resolve alone, on cart and on purchase
QUALITY, VALUE = 0.7, 1.0
DEVICE_BUY = np.array([-0.5, 0.6, 0.0])


@dataclass(frozen=True)
class Odds:
    """True probabilities of each impression, (n,): of a click, of a cart given a click, of a purchase given a cart."""

    click: Floats
    cart: Floats
    buy: Floats


@dataclass(frozen=True)
class Outcomes:
    """What became of each impression, (n,). Times are µs since the epoch and mean nothing where there is no event."""

    clicked: NDArray[np.bool_]
    carted: NDArray[np.bool_]
    bought: NDArray[np.bool_]
    click_time: NDArray[np.int64]
    cart_time: NDArray[np.int64]
    buy_time: NDArray[np.int64]
    quantity: NDArray[np.int64]


def leaning(people: Customers, trait: str, logits: tuple[float, float]) -> Floats:
    """(customers,) logits that come with a price or a promotion."""
    everyone, by_trait = logits
    return everyone + by_trait * people.trait(trait)


def odds(world: World, shown: Shown, day: int) -> Odds:
    """The true probabilities; they depend on customer, product, price, promotion, place and surface alone."""
    people, goods, row = world.people, world.goods, world.prices.row(day)
    user, item = shown.user, shown.item
    taste, resolve = liking(people, goods, user, item), people.trait("resolve")[user]
    promoted = world.prices.depth[row, item] > 0
    dear = goods.dearness[item] + np.log(world.prices.cents[row, item] / goods.list_cents[item])
    value = goods.value[item]
    click = CLICK + taste + QUALITY * goods.quality[item] + ON_SURFACE[shown.surface] - PLACE * np.log(shown.position)
    click += (
        leaning(people, "sensitivity", DEAR_CLICK)[user] * dear + leaning(people, "deals", DEAL_CLICK)[user] * promoted
    )
    cart = CART + 0.3 * taste + VALUE * value + READY[shown.surface] + RESOLVE[0] * resolve
    cart += (
        leaning(people, "sensitivity", DEAR_CART)[user] * dear + leaning(people, "deals", DEAL_CART)[user] * promoted
    )
    buy = BUY + DEVICE_BUY[people.device[user]] + 0.5 * value + RESOLVE[1] * resolve
    return Odds(expit(click), expit(cart), expit(buy))


def elasticity(world: World, shown: Shown, chances: Odds) -> Floats:
    """(n,) per cent by which the chance of a purchase moves with a per cent of price, what is shown being the same."""
    people, user = world.people, shown.user
    click, cart = (leaning(people, "sensitivity", logits)[user] for logits in (DEAR_CLICK, DEAR_CART))
    return (1 - chances.click) * click + (1 - chances.cart) * cart


def outcomes(world: World, shown: Shown, chances: Odds, day: int) -> Outcomes:
    """Draws what happens. A click comes seconds after its impression, a cart minutes later, a purchase within hours.

    What would fall beyond the UTC day is hurried along, so that a day is complete in itself.
    """
    random = generator(world.seed, "outcomes", day)
    luck = random.random((3, len(shown.user)))
    clicked = luck[0] < chances.click
    carted = clicked & (luck[1] < chances.cart)
    bought = carted & (luck[2] < chances.buy)
    noise = random.standard_normal((3, len(shown.user)))
    gaps = np.exp(np.log([[6.0], [150.0], [900.0]]) + np.array([[0.7], [0.8], [1.2]]) * noise)
    delays = np.cumsum(np.minimum(gaps, [[60.0], [1800.0], [28_800.0]]), axis=0)
    left = ((day + 1) * 86_400_000_000 - 1_000_000 - shown.time) / 1e6
    delays *= np.minimum(1, left / delays[2])
    times = shown.time + 1 + (delays * 1e6).astype(np.int64) + np.arange(3)[:, None]
    quantity = 1 + random.poisson(0.15, len(shown.user))
    return Outcomes(clicked, carted, bought, times[0], times[1], times[2], quantity)
