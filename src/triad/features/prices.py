"""Prices by item and day, and each price relative to the days before."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.features.catalogue import Catalogue
from triad.features.sql import MICRO, columns, nan

LONG, SHORT = 28, 7
"""Days of the rolling mean and volatility, and of the shorter price change."""


@dataclass(frozen=True)
class PriceGrid:
    """Each item's days from its first known price to the last day of all, item by item. Logs of cents."""

    since: Ints  # (n_items,) the first day
    offsets: Ints  # (n_items + 1,) where the item's days begin
    values: dict[str, Floats]

    @property
    def first(self) -> Floats:
        """(n_items,) log of the first price known of each item, NaN where none is."""
        return self.log_price(np.arange(len(self.since)), self.since)

    @property
    def rows(self) -> tuple[Ints, Ints]:
        """(values,) the item and the day of each."""
        item = np.repeat(np.arange(len(self.since)), np.diff(self.offsets))
        return item, self.since[item] + np.arange(len(item)) - self.offsets[item]

    def at(self, item: Ints, day: Ints) -> dict[str, Floats]:
        """(n,) all values of that day, by name; NaN before the item's first price."""
        place, known = self._places(item, day)
        return {name: _known(values, place, known) for name, values in self.values.items()}

    def log_price(self, item: Ints, day: Ints) -> Floats:
        """(n,) log of the price asked that day, NaN where unknown."""
        return _known(self.values["price"], *self._places(item, day))

    def _places(self, item: Ints, day: Ints) -> tuple[Ints, Bools]:
        after = day - self.since[item]
        known = (after >= 0) & (after < np.diff(self.offsets)[item])
        return np.where(known, self.offsets[item] + after, 0), known


def _known(values: Floats, place: Ints, known: Bools) -> Floats:
    return np.where(known, values[place], np.nan) if len(values) else nan(len(place))


def build(session: duckdb.DuckDBPyConnection, from_table: bool, last_day: int, known: Catalogue) -> PriceGrid:
    """The grid up to `last_day`, from `prices` or, where the shop has none, from the prices that events carry.

    Days without a price keep the last one. Leaves `price_grid` (item_no, day, price, category_price,
    discount, is_promoted) in the session, prices in millionths of a log.
    """
    narrow = f"category_{known.levels}"
    session.execute(f"CREATE OR REPLACE TEMP TABLE price_known AS {_KNOWN[from_table]}")
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE price_grid AS
        WITH span AS (SELECT item_no, min(day) AS first FROM price_known GROUP BY item_no),
        grid AS (SELECT item_no, unnest(range(first, {last_day} + 1))::INT AS day FROM span),
        filled AS (
            SELECT item_no, day, last_value(price IGNORE NULLS) OVER known AS price,
                last_value(is_promoted IGNORE NULLS) OVER known AS is_promoted
            FROM grid LEFT JOIN price_known USING (item_no, day)
            WINDOW known AS (PARTITION BY item_no ORDER BY day ROWS UNBOUNDED PRECEDING)
        )
        SELECT item_no, day, price, is_promoted, {narrow} AS category,
            (sum(price) OVER peers / count(price) OVER peers)::BIGINT AS category_price,
            price - (sum(price) OVER long / count(price) OVER long)::BIGINT AS discount
        FROM filled JOIN item_row USING (item_no)
        WINDOW peers AS (PARTITION BY {narrow}, day),
            long AS (PARTITION BY item_no ORDER BY day ROWS {LONG - 1} PRECEDING)
    """)
    features = columns(session, _FEATURES)
    item, day = features.pop("item_no"), features.pop("day").astype(np.int64)
    offsets = np.searchsorted(item, np.arange(len(known.item_id) + 1))
    since = np.r_[day, 0][np.minimum(offsets[:-1], len(day))]
    return PriceGrid(since, offsets, features)


_KNOWN = {
    True: f"""
        SELECT item_no, (p.day - DATE '1970-01-01')::INT AS day, (ln(p.price_cents) * {MICRO})::BIGINT AS price,
            is_promoted
        FROM prices p JOIN item_row USING (item_id) WHERE p.price_cents > 0
    """,
    False: f"""
        SELECT item_no, day, (sum((ln(price_cents) * {MICRO})::BIGINT) / count(*))::BIGINT AS price,
            NULL::BOOLEAN AS is_promoted
        FROM activity WHERE price_cents IS NOT NULL GROUP BY item_no, day
    """,
}

_FEATURES = f"""
    WITH steps AS (
        SELECT *, price - lag(price) OVER item AS step,
            is_promoted AND NOT coalesce(lag(is_promoted) OVER item, false) AS begins
        FROM price_grid WINDOW item AS (PARTITION BY item_no ORDER BY day)
    )
    SELECT item_no, day, (price::DOUBLE / {MICRO})::FLOAT AS price,
        (category_price::DOUBLE / {MICRO})::FLOAT AS category_price, is_promoted::FLOAT AS is_promoted,
        ((lag(price, 1) OVER item)::DOUBLE / {MICRO})::FLOAT AS before_1,
        ((lag(price, {SHORT}) OVER item)::DOUBLE / {MICRO})::FLOAT AS before_{SHORT},
        ((sum(price) OVER long)::DOUBLE / count(*) OVER long / {MICRO})::FLOAT AS mean_long,
        ((sum(price) OVER ever)::DOUBLE / count(*) OVER ever / {MICRO})::FLOAT AS mean_ever,
        (sqrt((sum(step * step) OVER long)::DOUBLE / count(step) OVER long) / {MICRO})::FLOAT AS volatility,
        (CASE WHEN is_promoted THEN day - max(CASE WHEN begins THEN day END) OVER ever END)::FLOAT AS promoted_days
    FROM steps
    WINDOW item AS (PARTITION BY item_no ORDER BY day),
        long AS (PARTITION BY item_no ORDER BY day ROWS {LONG - 1} PRECEDING),
        ever AS (PARTITION BY item_no ORDER BY day ROWS UNBOUNDED PRECEDING)
    ORDER BY item_no, day
"""
