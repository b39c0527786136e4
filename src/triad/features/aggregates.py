"""Daily sums by entity, and their totals over the days before a given day.

The engine groups the log once an entity (user, item, user × category …); running sums over those days then answer any
window by two look-ups. No window ever runs over raw events, and none reaches into the day that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.features.sql import columns

SPAN = 1 << 16
"""Room for the day in a key of (entity, day): days since the epoch reach it in the year 2149."""


@dataclass(frozen=True)
class Daily:
    """Sums by (entity, day), in the order of `key = entity · SPAN + day`."""

    key: Ints  # (rows,)
    running: Mapping[str, Ints]  # each (rows + 1,): the sum of all rows before this one

    def between(self, name: str, entity: Ints, first: Ints, last: Ints) -> Floats:
        """(n,) sum of `name` over the days [first, last) of each entity."""
        total = self.running[name]
        low, high = np.searchsorted(self.key, entity * SPAN + first), np.searchsorted(self.key, entity * SPAN + last)
        return (total[high] - total[low]).astype(np.float64)

    def before(self, entity: Ints, day: Ints, length: int | None = None) -> dict[str, Floats]:
        """(n,) sums over the `length` days before `day` (None: all of them), by name; NaN where entity is -1."""
        return self.over(entity, day, (length,))[length]

    def over(self, entity: Ints, day: Ints, lengths: Sequence[int | None]) -> dict[int | None, dict[str, Floats]]:
        """`before` of each length: what they have in common is looked up once."""
        key = np.asarray(entity, np.int64) * SPAN + np.asarray(day, np.int64)
        unique, back = np.unique(key, return_inverse=True)
        start, high, unknown = unique // SPAN * SPAN, np.searchsorted(self.key, unique), unique < 0
        sums = {}
        for length in lengths:
            low = np.searchsorted(self.key, start if length is None else np.maximum(unique - length, start))
            sums[length] = {name: _sum(total, low, high, unknown)[back] for name, total in self.running.items()}
        return sums

    def days_since(self, entity: Ints, day: Ints) -> Floats:
        """(n,) days from the entity's last day with any row before `day`; NaN where there is none."""
        key = np.asarray(entity, np.int64) * SPAN + np.asarray(day, np.int64)
        place = np.searchsorted(self.key, key) - 1
        latest = self.key[np.maximum(place, 0)] if len(self.key) else np.full(len(key), -1)
        same = (place >= 0) & (latest // SPAN == key // SPAN) & (key >= 0)
        return np.where(same, key - latest, np.nan).astype(np.float32)


def _sum(total: Ints, low: Any, high: Any, unknown: np.ndarray) -> Floats:
    value = (total[high] - total[low]).astype(np.float32)
    value[unknown] = np.nan
    return value


def daily(session: duckdb.DuckDBPyConnection, source: str, entity: str, sums: Mapping[str, str]) -> Daily:
    """Group `source`, which has a `day`, by the SQL expression `entity`; `sums` names integer expressions to add up.

    Rows whose entity is negative are left out.
    """
    added = ", ".join(f"coalesce(sum({expression}), 0)::BIGINT AS {name}" for name, expression in sums.items())
    totals = columns(
        session,
        f"""
        SELECT ({entity})::BIGINT * {SPAN} + day AS key, {added} FROM {source}
        WHERE ({entity}) >= 0 GROUP BY key ORDER BY key
    """,
    )
    key = totals.pop("key")
    return Daily(key, {name: _running(totals.pop(name)) for name in list(totals)})


def _running(values: Ints) -> Ints:
    """(n + 1,) sums of all values before each place, in 32 bits where they fit."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total.astype(np.int32) if len(values) == 0 or np.abs(total).max() < 2**30 else total
