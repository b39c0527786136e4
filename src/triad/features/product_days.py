"""What was sold of each product on each day, and what is known of a product at the beginning of a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.features.aggregates import SPAN
from triad.features.prices import PriceGrid
from triad.features.sql import columns
from triad.schema import EVENT_KINDS

WEEK, WEEKS, MONTH, QUARTER = 7, 8, 28, 84
HALF_LIVES = (7.0, 28.0)
"""Days, of smoothed sales (Brown 1956)."""
LONG_AGO = 99
NAMES = (
    *(f"sold_week_{week + 1}" for week in range(WEEKS)),
    "sold_month",
    "sold_quarter",
    "sold_middle_week",
    *(f"smoothed_{half:.0f}" for half in HALF_LIVES),
    "days_sold_month",
    "since_sold",
    "looked_week",
    "looked_month",
    "shown_week",
    "shown_month",
    "price",
    "price_over_month",
    "price_over_week",
    "promoted",
    "promoted_week",
    "age",
    "weekday",
    "category_week",
    "category_trend",
    "shop_trend",
)
"""Columns of a row. Amounts are log(1 + units), prices logs; all end with the day before."""


@dataclass(frozen=True)
class Grid:
    """(items, days) each, by catalogue row, from day `first` on; a row's `at` counts from there too."""

    first: int
    units: Floats
    looked: Floats
    shown: Floats
    log_price: Floats  # NaN where unknown
    promoted: Floats  # NaN likewise
    category: Ints  # (items,) codes, -1 for none

    @property
    def days(self) -> int:
        return self.units.shape[1]

    @cached_property
    def sums(self) -> dict[str, Floats]:
        """(items, days + 1) of all days before."""
        named = {"units": self.units, "looked": self.looked, "shown": self.shown, "sold": self.units > 0}
        named |= {"price": np.nan_to_num(self.log_price), "priced": np.isfinite(self.log_price)}
        named |= {"promoted": np.nan_to_num(self.promoted)}
        edge = np.zeros((len(self.units), 1))
        return {name: np.hstack([edge, np.cumsum(values, axis=1, dtype=np.float64)]) for name, values in named.items()}

    def between(self, name: str, item: Ints, start: Ints, end: Ints) -> Floats:
        """(n,) sum over the days [start, end), of which the log holds those that it holds."""
        table = self.sums[name]
        return table[item, np.clip(end, 0, self.days)] - table[item, np.clip(start, 0, self.days)]

    @cached_property
    def smoothed(self) -> Sequence[Floats]:
        """(items, days + 1) mean daily units before each day, the older the less, by half-life; 0 before any day."""
        kept = []
        for half in HALF_LIVES:
            keep = 0.5 ** (1 / half)
            total, weight = np.zeros(len(self.units)), np.zeros(len(self.units))
            rows = [np.zeros(len(self.units))]
            for day in range(self.days):
                total = keep * total + self.units[:, day]
                weight = keep * weight + (self.born <= day)
                rows.append(total / np.maximum(weight, 1e-9))
            kept.append(np.column_stack(rows))
        return kept

    @cached_property
    def born(self) -> Ints:
        """(items,) first day that anything is known of, `days` where nothing is."""
        known = (self.units + self.looked + self.shown > 0) | np.isfinite(self.log_price)
        return np.where(known.any(axis=1), known.argmax(axis=1), self.days)

    def rows(self, step: int) -> tuple[Ints, Ints]:
        """(n,) item and day of those that were shown, looked at or sold in the month before, a week or more after their
        first day; every `step` days back from the day after the last.
        """
        items, days = [], []
        for day in range(self.days, WEEK - 1, -step):
            start = np.full(len(self.units), day - MONTH)
            every, end = np.arange(len(self.units)), np.full(len(self.units), day)
            stirred = sum(self.between(name, every, start, end) for name in ("units", "looked", "shown"))
            alive = np.flatnonzero((stirred > 0) & (self.born + WEEK <= day))
            items.append(alive)
            days.append(np.full(len(alive), day))
        item, at = (np.concatenate([np.zeros(0, np.int64), *each]) for each in (items, days))
        order = np.lexsort((at, item))
        return item[order], at[order]


def read(session: duckdb.DuckDBPyConnection, prices: PriceGrid, category: Ints) -> Grid:
    """From the temporary table `activity` and the prices known."""
    items, amount = len(category), ("units", "looked", "shown")
    impression, click, cart, purchase = range(len(EVENT_KINDS))
    events = columns(
        session,
        f"""SELECT item_no, day, (coalesce(sum(quantity) FILTER (kind = {purchase}), 0))::DOUBLE AS units,
            (count(*) FILTER (kind IN ({click}, {cart})))::DOUBLE AS looked,
            (count(*) FILTER (kind = {impression}))::DOUBLE AS shown
        FROM activity GROUP BY item_no, day""",
    )
    owner, day = prices.rows
    ends = [each for each in (events["day"], day) if len(each)]
    first = int(min(events["day"].min(initial=SPAN), SPAN))
    last = max((int(each.max()) for each in ends), default=first - 1)
    tables = {name: np.zeros((items, last - first + 1), np.float32) for name in amount}
    for name in amount:
        tables[name][events["item_no"], events["day"] - first] = events[name]
    later = day >= first
    for name, column in (("log_price", "price"), ("promoted", "is_promoted")):
        tables[name] = np.full((items, last - first + 1), np.nan, np.float32)
        tables[name][owner[later], day[later] - first] = prices.values[column][later]
    return Grid(first, **tables, category=category)


def features(grid: Grid, item: Ints, at: Ints) -> Floats:
    """(n, NAMES) of `item` at the beginning of the days `at`."""

    def sold(name: str, days: int, before: int = 0) -> Floats:
        return grid.between(name, item, at - before - days, at - before)

    weeks = np.column_stack([sold("units", WEEK, WEEK * week) for week in range(WEEKS)])
    day = np.where(grid.units > 0, np.arange(grid.days), -LONG_AGO)
    latest = np.hstack([np.full((len(grid.units), 1), -LONG_AGO), np.maximum.accumulate(day, axis=1)])[item, at]
    yesterday = at - 1
    price = grid.log_price[item, yesterday]
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = sold("price", MONTH) / sold("priced", MONTH)
    week_ago = np.where(at > WEEK, grid.log_price[item, np.maximum(yesterday - WEEK, 0)], np.nan)
    own, trend, shop = _around(grid, item, at)
    table = np.column_stack(
        [
            np.log1p(weeks),
            np.log1p(sold("units", MONTH)),
            np.log1p(sold("units", QUARTER)),
            np.log1p(np.median(weeks, axis=1)),
            *(np.log1p(WEEK * each[item, at]) for each in grid.smoothed),
            sold("sold", MONTH),
            np.minimum(at - latest, LONG_AGO),
            *(np.log1p(sold(name, days)) for name in ("looked", "shown") for days in (WEEK, MONTH)),
            price,
            price - usual,
            price - week_ago,
            grid.promoted[item, yesterday],
            sold("promoted", WEEK),
            np.minimum(at - grid.born[item], 365),
            (grid.first + at) % WEEK,
            own,
            trend,
            shop,
        ]
    )
    assert table.shape[1] == len(NAMES)
    return table.astype(np.float32)


def _around(grid: Grid, item: Ints, at: Ints) -> tuple[Floats, Floats, Floats]:
    """(n,) units a product that the category sold in the week; its trend over the month, and the shop's."""
    code = grid.category - grid.category.min(initial=0)
    category = np.zeros((int(code.max(initial=0)) + 1, grid.days + 1))
    np.add.at(category, code, grid.sums["units"])
    shop = category.sum(axis=0, keepdims=True)

    def mean(table: Floats, row: Ints, days: int) -> Floats:
        start = np.maximum(at - days, 0)
        return (table[row, at] - table[row, start]) / np.maximum(at - start, 1)

    def trend(table: Floats, row: Ints) -> Floats:
        return np.log((mean(table, row, WEEK) + 0.1) / (mean(table, row, MONTH) + 0.1))

    mine = code[item]
    own = np.log1p(WEEK * mean(category, mine, WEEK) / np.bincount(code)[mine])
    return own, trend(category, mine), trend(shop, np.zeros_like(mine))


def labelled(grid: Grid, at: Ints, days: int, inside: Bools) -> Bools:
    """(n,) whether the `days` from `at` on are all known, and inside the row's split."""
    return inside & (at + days <= grid.days)
