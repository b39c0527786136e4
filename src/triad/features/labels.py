"""One function per label. A missing label is NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from triad.config.tasks import TaskParams
from triad.features.aggregates import Daily, daily
from triad.features.dataset import SPLITS, Floats, Ints
from triad.features.prices import PriceGrid
from triad.features.splits import Windows, ends_inside
from triad.features.sql import DAY, HOUR, columns, nan
from triad.schema import EVENT_KINDS

STEP = {"clicked": "click", "carted": "cart", "purchased": "purchase"}
"""Labels that are a step of the funnel, and the kind of event that each one is."""


_ALL, _NAMELESS, _NAMED = range(3)
"""Among which events an exposure looks for its own: all, those that name no session, those of its session."""


@dataclass(frozen=True)
class Keys:
    """Exposures, (n,) each: catalogue rows, µs, and place in SPLITS or -1."""

    user: Ints
    item: Ints
    time: Ints
    split: Ints

    @property
    def day(self) -> Ints:
        return self.time // DAY


def chain(task: str, tasks: Mapping[str, TaskParams]) -> tuple[int, ...]:
    """Kinds of event that must follow one another for `task`: its own, after those of the tasks it is given."""
    params = tasks[task]
    own = EVENT_KINDS.index(STEP[params.label])
    return (*(chain(params.given, tasks) if params.given else ()), own)


def predicted(tasks: Mapping[str, TaskParams]) -> tuple[int, ...]:
    """Kinds of event that tasks predict."""
    return tuple(sorted({EVENT_KINDS.index(STEP[task.label]) for task in tasks.values() if task.label in STEP}))


def reached(kinds: tuple[int, ...], hours: int) -> str:
    """A query of the exposures followed by events of `kinds`, in that order, within `hours`: `row`, the last's `time`.

    An event belongs to an exposure of the same user and item, in the same session where both name one. Each exposure is
    joined with the first such event alone: however often one user turns to one item, the work is that of sorting.
    """
    source = "SELECT row, time FROM exposure"
    for kind in kinds:
        # who names no session looks at all events; who names one at those of that session, and at those that name none
        source = f"""
            SELECT x.row, min(a.time) AS time
            FROM (
                SELECT x.row, user_no, item_no, visit, before.time AS since, x.time + {hours * HOUR} AS until,
                    unnest(CASE WHEN visit IS NULL THEN [{_ALL}] ELSE [{_NAMELESS}, {_NAMED}] END) AS among
                FROM exposure x JOIN ({source}) before ON before.row = x.row
                SEMI JOIN activity a ON a.kind = {kind} AND a.user_no = x.user_no AND a.item_no = x.item_no
            ) x
            ASOF JOIN (
                SELECT user_no, item_no, visit, time,
                    unnest([{_ALL}, CASE WHEN visit IS NULL THEN {_NAMELESS} ELSE {_NAMED} END]) AS among
                FROM activity WHERE kind = {kind}
            ) a ON a.user_no = x.user_no AND a.item_no = x.item_no AND a.among = x.among
                AND {_session("a")} = {_session("x")} AND a.time >= x.since
            WHERE a.time < x.until
            GROUP BY x.row
        """
    return source


def _session(side: str) -> str:
    return f"CASE WHEN {side}.among = {_NAMED} THEN {side}.visit ELSE 0 END"


def followed(
    session: duckdb.DuckDBPyConnection, kinds: tuple[int, ...], hours: int, time: Ints, known_until: int
) -> Floats:
    """(n,) 1 where the exposure is followed by `kinds` within `hours`, else 0; NaN where that is not yet known."""
    label = np.zeros(len(time), np.float32)
    label[columns(session, f"SELECT row FROM ({reached(kinds, hours)}) ORDER BY row")["row"]] = 1
    label[(time + hours * HOUR > known_until) & (label == 0)] = np.nan
    return label


def user_attribute(value: Ints, fold: Ints, keys: Keys) -> Floats:
    """(n,) class of the user on rows of the user's fold: one a user and day in train, the user's last in later splits.

    `value` is (n_users,) the class, -1 unknown; `fold` (n_users,) the split that may show it.
    """
    shown = (keys.split >= 0) & (keys.split == fold[keys.user]) & (value[keys.user] >= 0)
    unit = np.where(keys.split == SPLITS.index("train"), keys.day, -1 - keys.split.astype(np.int64))
    return _on(last_of(keys.user, unit, shown), value[keys.user])


def price_move(grid: PriceGrid, days: int, keys: Keys, spans: Windows) -> Floats:
    """(n,) log of the price `days` later over the day's price, on one row an item and day, inside the split."""
    move = grid.log_price(keys.item, keys.day + days) - grid.log_price(keys.item, keys.day)
    inside = ends_inside(keys.day * DAY, keys.split, (days + 1) * DAY, spans)
    return _on(last_of(keys.item, keys.day, inside & np.isfinite(move)), move)


def purchases(session: duckdb.DuckDBPyConnection) -> Daily:
    """Cents spent, by user and day."""
    bought = f"(SELECT * FROM activity WHERE kind = {EVENT_KINDS.index('purchase')})"
    return daily(session, bought, "user_no", {"cents": "price_cents * quantity"})


def spend(bought: Daily, days: int, keys: Keys, spans: Windows) -> Floats:
    """(n,) log1p of the cents spent on the `days` after the exposure's day, on one row a user and day, in the split."""
    cents = bought.between("cents", keys.user, keys.day + 1, keys.day + 1 + days)
    inside = ends_inside(keys.day * DAY, keys.split, (days + 1) * DAY, spans)
    return _on(last_of(keys.user, keys.day, inside), np.log1p(cents))


def last_of(entity: Ints, unit: Ints, eligible: np.ndarray) -> Ints:
    """Rows that are the last eligible one of their (entity, unit), in row order."""
    rows = np.flatnonzero(eligible)
    rows = rows[np.lexsort((rows, unit[rows], entity[rows]))]
    ends = np.ones(len(rows), bool)
    ends[:-1] = (np.diff(entity[rows]) != 0) | (np.diff(unit[rows]) != 0)
    return np.sort(rows[ends])


def _on(rows: Ints, values: np.ndarray) -> Floats:
    label = nan(len(values))
    label[rows] = values[rows]
    return label
