"""A day's visits and their pages: the time, the surface, the products and their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from triad.sources.simulated.chance import generator, pick
from triad.sources.simulated.people import Customers
from triad.sources.simulated.queries import typed
from triad.sources.simulated.tastes import liking
from triad.sources.simulated.taxonomy import LEAVES, TOP_OF_LEAF
from triad.sources.simulated.world import World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SURFACES = ("home", "search", "category")
HOME, SEARCH, CATEGORY = range(3)
WEEKDAYS = np.array([1.0, 0.95, 0.95, 1.0, 1.05, 1.2, 1.25])  # Monday first
HOURS = np.array([2, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 14, 16, 15, 14, 14, 15, 17, 20, 24, 26, 24, 15, 6], float)
POOL = 40  # products considered for a page
LONGEST = 24  # products on a page at most
PERSONAL, POPULAR = 0.45, 0.35  # of a home page's pool; the rest explores
FOCUSED = 0.85  # of a search or category page's pool; the rest is from next door
POLICY_TASTE, POLICY_NOISE = 0.5, 1.0  # how well the shop's order knows tastes
NOVELTY_DAYS, NOVELTY = 14, 6.0  # new products are explored this much more, for so long


@dataclass(frozen=True)
class Shown:
    """A day's impressions, visit by visit, in page order; each (n,)."""

    visit: Ints
    user: Ints  # row of Customers
    item: Ints  # number of the product
    position: Ints  # from 1
    surface: Ints  # place in SURFACES
    query: Ints  # -1 on other surfaces
    time: Ints  # µs since the epoch


def surface_chances(people: Customers) -> Floats:
    """(n, surfaces) share of each customer's visits."""
    return softmax(
        np.column_stack([np.full(len(people.number), 0.2), people.trait("search"), people.trait("browse")]), 1
    )


def shown_on(world: World, day: int) -> Shown:
    """All impressions of one day. A page shows no product twice."""
    random = generator(world.seed, "visits", day)
    people, goods = world.people, world.goods
    alive = people.alive(day)
    crowd = WEEKDAYS[(day + 3) % 7] * np.exp(random.normal(0, 0.05)) * world.size.visits
    fresh = people.arrived[alive] == day
    visits = np.maximum(random.poisson(crowd * people.activity[alive]), fresh)
    user = np.repeat(alive, visits)
    count = len(user)
    luck = random.random((count, 8))
    start = _starts(people, user, day, luck[:, :2])

    surface = pick(luck[:, 2], surface_chances(people)[user])
    focus = pick(luck[:, 3], people.interest[user])
    query = typed(world.queries, focus, luck[:, 4] < 0.5, people.favourite[user], luck[:, 5:7])
    query = np.where(surface == SEARCH, query, -1)
    longer = np.where(people.device[user] == 0, 10, 14)
    length = np.clip(np.rint(longer * np.exp(random.normal(0, 0.35, count))), 3, LONGEST).astype(int)

    pages = generator(world.seed, "pages", day)
    pool = _pool(world, day, pages, user=user, surface=surface, focus=focus)
    score = POLICY_TASTE * liking(people, goods, user[:, None], pool) + POLICY_NOISE * pages.gumbel(size=pool.shape)
    brand = world.queries.brand[np.maximum(query, 0)]
    wanted = (query >= 0) & (brand >= 0)
    score += 3.0 * (wanted[:, None] & (goods.brand[pool] == brand[:, None]))
    score[_repeated(pool)] = -np.inf
    best = np.argsort(-score, axis=1, kind="stable")[:, :LONGEST]
    item = np.take_along_axis(pool, best, axis=1)
    kept = (np.arange(LONGEST) < length[:, None]) & np.isfinite(np.take_along_axis(score, best, axis=1))

    pace = np.cumsum(0.3 + pages.exponential(1.5, kept.shape), axis=1)
    time = start[:, None] + (pace * 1e6).astype(np.int64)
    visit, place = np.nonzero(kept)
    return Shown(visit, user[visit], item[kept], place + 1, surface[visit], query[visit], time[kept])


def _starts(people: Customers, user: Ints, day: int, luck: Floats) -> Ints:
    """µs at which each visit begins. A newcomer's first visit follows the sign-up, further ones come after it."""
    seconds = 3600 * (pick(luck[:, 0], HOURS) + luck[:, 1] * 0.98)
    start = day * 86_400_000_000 + (seconds * 1e6).astype(np.int64)
    midnight = (day + 1) * 86_400_000_000
    fresh = people.arrived[user] == day
    first = fresh & np.r_[True, user[1:] != user[:-1]]
    signed_up = people.signed_up[user]
    later = signed_up + ((midnight - 300_000_000 - signed_up) * (0.1 + 0.9 * luck[:, 1])).astype(np.int64)
    return np.where(first, signed_up + 5_000_000, np.where(fresh, later, start))


def _pool(world: World, day: int, random: np.random.Generator, *, user: Ints, surface: Ints, focus: Ints) -> Ints:
    """(visits, POOL) products considered, repeats included."""
    goods, interest = world.goods, world.people.interest
    sale = goods.on_sale(day)
    sale = sale[np.argsort(goods.leaf[sale], kind="stable")]
    edges = np.concatenate([[0.0], np.cumsum(goods.popularity[sale])])
    bounds = edges[np.searchsorted(goods.leaf[sale], np.arange(len(LEAVES) + 1))]
    novelty = np.where(day - goods.available[sale] < NOVELTY_DAYS, NOVELTY, 1.0)

    shape = (len(user), POOL)
    which, where, exact = random.random(shape), random.random(shape), random.random(shape)
    home = surface == HOME
    leaf = np.repeat(focus[:, None], POOL, axis=1)
    siblings = len(LEAVES) // (TOP_OF_LEAF.max() + 1)
    away = which >= FOCUSED
    leaf[away] = (TOP_OF_LEAF[leaf] * siblings + (where * siblings).astype(np.int64))[away]
    leaf[home] = pick(where[home], interest[user[home]][:, None, :])
    focused = np.searchsorted(edges, bounds[leaf] + exact * (bounds[leaf + 1] - bounds[leaf]), side="right") - 1
    anywhere = np.searchsorted(edges, exact * edges[-1], side="right") - 1
    explored = pick(exact, novelty)
    picked = np.where(which < PERSONAL, focused, np.where(which < PERSONAL + POPULAR, anywhere, explored))
    return sale[np.minimum(np.where(home[:, None], picked, focused), len(sale) - 1)]


def _repeated(pool: Ints) -> NDArray[np.bool_]:
    """(visits, POOL) whether the same product stands further left in its row."""
    order = np.argsort(pool, axis=1, kind="stable")
    ordered = np.take_along_axis(pool, order, axis=1)
    again = np.zeros(pool.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return again
