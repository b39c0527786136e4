"""What a re-ranker reads of a pair of query and item. All of it is known before the query's moment.

| from | columns |
|---|---|
| each member | log of its probability, place among the candidates |
| all members | the best place, places taken together, log probabilities under the list's highest |
| the user's own history of the item | times, old ones fading, visits and days since, also over what is usual |
| the item | times taken over 1, 7, 28, 90 days to the day before, by new customers, trend, age, price, when due again |
| the user | interactions, visits and what they hold, how much of it is new, days since the last, over what is usual |
| both | price over the history's; share and lift of the item's categories and brand; what is taken with the last ones |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion import company, leaning, rhythm
from triad.fusion.candidates import Candidates, Queries, Storefront
from triad.fusion.company import Company
from triad.fusion.leaning import Groups
from triad.fusion.steps import Steps, distinct, places_in
from triad.fusion.takings import Takings
from triad.members.history import DAY
from triad.members.pairs import whole_users

HALF_LIVES = (3.0, 14.0, 60.0, 240.0)
"""Days after which an interaction counts half."""
WINDOWS = (1, 7, 28, 90)
"""Days over which takings of an item are counted."""
FEW = 5
"""Intervals an item needs for a typical one of its own."""

FIRSTS = (7, 28)
"""Days over which first takings of an item are counted."""

OWN: tuple[str, ...] = (
    *("own_times", *(f"own_fading_{int(days)}d" for days in HALF_LIVES), "own_share_of_visits", "own_days_since"),
    *("own_days_over_interval", "days_over_item_interval", "own_last_kind", *rhythm.OWN),
)
ITEM: tuple[str, ...] = (
    *(*(f"item_times_{days}d" for days in WINDOWS), "item_trend", "item_age_days", "item_price", "item_interval"),
    *(*(f"item_firsts_{days}d" for days in FIRSTS), "item_again_share", *leaning.ITEM),
)
USER: tuple[str, ...] = ("user_interactions", "user_days_since", "user_items", *rhythm.USER)
BOTH: tuple[str, ...] = (
    *("price_over_own", "own_share_of_category", "own_share_of_broad_category", "own_share_of_brand"),
    *(*leaning.BOTH, *company.BOTH),
)
TOGETHER = ("best_place", "places", "log_under_best")
UNTOLD, ITSELF, LIKE, SHOP = range(4)
"""What may carry an item: what the customer did with it, what is like what they did, how it does in the shop."""


@dataclass(frozen=True)
class Reading:
    """A dataset arranged for `signals`, once for many blocks of queries."""

    data: Dataset
    takings: Takings
    firsts: Takings
    front: Storefront
    interval: Floats  # (n_items,) `intervals`
    groups: Groups
    company: Company

    @classmethod
    def of(cls, data: Dataset) -> Reading:
        """Of the interactions of `data`."""
        takings, firsts = Takings.of(data), Takings.of(data, firsts=True)
        front, groups = Storefront.of(data, takings), Groups(data, takings)
        return cls(data, takings, firsts, front, intervals(data), groups, Company(data))

    def prepare(self, moment: Ints) -> None:
        """Make what lists at these moments (µs) share."""
        for week in np.unique(moment // DAY // company.WEEK).tolist():
            self.company.near(week)


def names(members: Sequence[str]) -> tuple[str, ...]:
    """The columns of `signals`, in order."""
    return (*(f"{part}_{name}" for name in members for part in ("log", "place")), *TOGETHER, *OWN, *ITEM, *USER, *BOTH)


def grounds(members: Sequence[str]) -> Ints:
    """(columns,) which of the above each column of `names(members)` speaks for; `UNTOLD` where for several or none."""
    of_member = {"own_history": ITSELF, "popularity": SHOP}
    told = [of_member.get(name, LIKE) for name in members for _ in ("log", "place")]
    parts = ((TOGETHER, UNTOLD), (OWN, ITSELF), (ITEM, SHOP), (USER, UNTOLD), (BOTH, LIKE))
    return np.array(told + [ground for part, ground in parts for _ in part])


def signals(reading: Reading, queries: Queries, candidates: Candidates, scores: Mapping[str, Floats]) -> Floats:
    """(p, columns) float32, NaN where nothing is known; the columns are `names(scores)`, each in one piece.

    Args:
        scores: member → (p,) probabilities.
    """
    data, takings, interval = reading.data, reading.takings, reading.interval
    query, item, steps = candidates.query, candidates.item, Steps(data, queries)
    columns: list[Floats] = []
    places: list[Floats] = []
    logs: list[Floats] = []
    for chance in scores.values():
        logs.append(np.log(np.maximum(chance, 1e-12)))
        places.append(_places(candidates, chance).astype(np.float64))
        columns += [logs[-1], places[-1]]
    columns += _together(candidates, logs, places)
    columns += _of_history(steps, queries, candidates, interval)
    columns += rhythm.of_pairs(steps, candidates)
    day = takings.day(queries.moment)[query]
    times = [takings.taken(item, day, over) for over in WINDOWS]
    columns += [np.asarray(np.log1p(t)) for t in times]
    columns.append(np.log((4 * times[1] + 1) / (times[2] + 1)))
    age = (queries.moment[query] - np.asarray(data.items.available_from)[item]) / DAY
    columns += [_coarse(age), _coarse(np.expm1(np.asarray(data.items.log_price, np.float64))[item])]
    columns.append(_coarse(interval[item]))
    columns += [np.asarray(np.log1p(reading.firsts.taken(item, day, over))) for over in FIRSTS]
    columns.append(1 - (reading.firsts.taken(item, day, WINDOWS[-1]) + 1) / (times[-1] + 1))
    shares, leanings = reading.groups.of(steps, queries, candidates)
    columns += shares
    user, both = _of_both(data, steps, queries, candidates)
    columns += [*user, *(each[query] for each in rhythm.of_users(steps, queries)), *both, *leanings]
    columns += reading.company.of(steps, queries, candidates)
    return np.stack([np.asarray(column, np.float32) for column in columns]).T  # column after column, as trees read them


def _together(candidates: Candidates, logs: list[Floats], places: list[Floats]) -> list[Floats]:
    """The columns `TOGETHER`: reciprocal ranks sum as in Cormack 2009 (doi:10.1145/1571941.1572114)."""
    under = np.zeros(len(candidates.item))
    for log in logs:
        highest = np.full(candidates.queries, -np.inf)
        np.maximum.at(highest, candidates.query, log)
        under += log - highest[candidates.query]
    return [np.min(places, axis=0), np.sum([1 / (60 + place) for place in places], axis=0), under / len(logs)]


def intervals(data: Dataset) -> Floats:
    """(n_items,) median days until a user takes the item again, in train; NaN where fewer than `FEW` did."""
    streams, size = data.streams, len(data.items.item_id)
    items, gaps = [], []
    for user, steps in whole_users(data):
        used = np.asarray(streams.split[steps]) == 0
        key, day = (user * size + streams.item[steps])[used], np.asarray(streams.time[steps])[used] // DAY
        order = np.lexsort((day, key))
        key, day = key[order], day[order]
        again = (key[1:] == key[:-1]) & (day[1:] > day[:-1])
        items.append((key[1:][again] % size).astype(np.int32))
        gaps.append(np.diff(day)[again].astype(np.float64))
    item, gap = np.concatenate(items), np.concatenate(gaps)
    median = np.full(size, np.nan)
    order = np.lexsort((gap, item))
    item, gap = item[order], gap[order]
    start = np.searchsorted(item, np.arange(size + 1))
    count = np.diff(start)
    enough = count >= FEW
    median[enough] = (
        gap[start[:-1][enough] + (count[enough] - 1) // 2] + gap[start[:-1][enough] + count[enough] // 2]
    ) / 2
    return median


def _coarse(values: Floats) -> Floats:
    """Powers of two. Finer, the few hundred lists that a shop learns from would know each item by its numbers."""
    return np.floor(np.log2(np.maximum(values, 0) + 1))


def _places(candidates: Candidates, chance: Floats) -> Ints:
    """(p,) place of each pair among its query's candidates, from 1."""
    size = np.diff(candidates.start)
    nth = np.arange(len(chance)) - np.repeat(candidates.start[:-1], size)
    padded = np.zeros((candidates.queries, size.max(initial=0)))  # no chance is below 0
    padded[candidates.query, nth] = -chance
    order = np.argsort(padded, axis=1, kind="stable")
    place = np.empty(padded.shape, np.int64)
    np.put_along_axis(place, order, np.arange(1, padded.shape[1] + 1)[None], axis=1)
    return place[candidates.query, nth]


def _of_history(steps: Steps, queries: Queries, candidates: Candidates, interval: Floats) -> list[Floats]:
    """The columns `OWN`."""
    pair, index = steps.pairs
    at, known = places_in(pair, candidates.query * steps.size + candidates.item)
    age = (queries.moment[steps.query] - steps.time) / DAY

    def of(values: Floats | Ints, empty: float = 0.0) -> Floats:
        return np.where(known, np.append(values, empty)[np.where(known, at, len(pair))], empty)

    columns = [np.log1p(of(np.bincount(index, np.ones(len(index)), minlength=len(pair))))]
    columns += [of(np.bincount(index, np.exp2(-age / days), minlength=len(pair))) for days in HALF_LIVES]
    days = steps.day
    last, first = np.full(len(pair), -1), np.full(len(pair), np.iinfo(np.int64).max)
    np.maximum.at(last, index, np.arange(len(index)))
    np.minimum.at(first, index, days)
    visits = distinct(index, days, len(pair))
    visited = distinct(steps.query, days, len(queries))
    since = age[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = np.where(visits > 1, (days[last] - first) / (visits - 1), np.nan)
        columns.append(of(visits) / np.maximum(visited[candidates.query], 1))
        columns.append(of(since, np.nan))
        columns.append(of(since / usual, np.nan))
        columns.append(columns[-2] / interval[candidates.item])
    columns.append(of(steps.kind[last].astype(np.float64)))
    return columns


def _of_both(
    data: Dataset, steps: Steps, queries: Queries, candidates: Candidates
) -> tuple[list[Floats], list[Floats]]:
    """The first columns of `USER` and of `BOTH`."""
    query, item = candidates.query, candidates.item
    count = np.bincount(steps.query, minlength=len(queries))
    last = np.full(len(queries), np.iinfo(np.int64).min)
    np.maximum.at(last, steps.query, steps.time)
    since = np.where(count > 0, (queries.moment - last) / DAY, np.nan)
    items = distinct(steps.query, steps.item, len(queries))
    price = np.asarray(data.items.log_price, np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(steps.query, price[steps.item], minlength=len(queries)) / count
    user: list[Floats] = [np.log1p(queries.history[query]), since[query], items[query]]
    columns: list[Floats] = [price[item] - mean[query]]
    category = np.asarray(data.items.category)
    for group in (category[:, -1], category[:, 0], np.asarray(data.items.brand)):
        size = int(group.max(initial=0)) + 1
        key, times = np.unique(steps.query * size + group[steps.item], return_counts=True)
        at, known = places_in(key, query * size + group[item])
        columns.append(np.where(known, np.append(times, 0)[at], 0) / np.maximum(count[query], 1))
    return user, columns
