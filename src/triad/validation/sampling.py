"""What drift and the leak sentinels look at: all events of as many users as fit, as columns in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MAX_ROWS = 1_000_000
"""Events taken. Whole users, in the order of their id's md5, so that the same data give the same sample."""

_HOURS = 24  # a click later than this after an impression is not its answer

Columns = dict[str, NDArray]


def pick_users(session: duckdb.DuckDBPyConnection, max_rows: int = MAX_ROWS) -> None:
    """Make the temporary table `sampled` (user_id, user): users whose events are `max_rows` in all, or just above."""
    session.execute(
        """
        CREATE OR REPLACE TEMP TABLE sampled AS
        WITH sizes AS (SELECT user_id, count(*) AS events FROM events GROUP BY user_id),
        placed AS (SELECT user_id, row_number() OVER w - 1 AS user, sum(events) OVER w - events AS before
                   FROM sizes WINDOW w AS (ORDER BY md5(user_id), user_id ROWS UNBOUNDED PRECEDING))
        SELECT user_id, user FROM placed WHERE before < ?
        """,
        [max_rows],
    )


def read_events(
    session: duckdb.DuckDBPyConnection, attributes: Sequence[str], as_of: date, drift_days: int
) -> tuple[Columns, NDArray[np.bool_], list[NDArray[np.integer]]]:
    """Columns whose distribution is watched, (n,) each; whether a row lies in the last days; its user and item.

    Text columns come as objects, numbers as floats with NaN. A quantity is a purchase's only. Of the item its brand
    and the broadest part of its category stand beside the event, of the user `attributes`.
    """
    named = ", ".join(f'users."{name}"::VARCHAR AS "users.{name}"' for name in attributes)
    rows = session.sql(
        f"""
        SELECT kind AS "events.kind", surface AS "events.surface", position AS "events.position",
               events.price_cents AS "events.price_cents",
               CASE WHEN kind = 'purchase' THEN quantity END AS "events.quantity",
               hour(occurred_at)::BIGINT AS "events.occurred_at (hour)",
               split_part(items.category, '/', 1) AS "items.category", items.brand AS "items.brand",
               {named}{"," if named else ""}
               occurred_at >= ?::TIMESTAMPTZ AS recent, user, item_id
        FROM events JOIN sampled USING (user_id) LEFT JOIN items USING (item_id) LEFT JOIN users USING (user_id)
        """,
        params=[f"{as_of - timedelta(days=drift_days)}T00:00:00+00:00"],
    ).to_arrow_table()
    columns = {name: _array(rows[name]) for name in rows.column_names if name not in ("recent", "user", "item_id")}
    item = np.unique(rows["item_id"].to_numpy(), return_inverse=True)[1]
    return columns, _array(rows["recent"]).astype(bool), [rows["user"].to_numpy().astype(np.int64), item]


def read_impressions(session: duckdb.DuckDBPyConnection) -> tuple[Columns, Columns, list[NDArray[np.integer]]]:
    """Raw columns of the sampled users' impressions, and whether each was answered within a day: by label, (n,) each;
    and each one's user and item.

    A column that may be null also comes as `<column> is known`.
    """
    rows = session.sql(
        f"""
        WITH mine AS (SELECT events.*, user FROM events JOIN sampled USING (user_id)),
        answers AS (
            SELECT user, item_id, session_id, kind, list_sort(list(occurred_at)) AS times
            FROM mine WHERE kind IN ('click', 'purchase') GROUP BY ALL
        ),
        shown AS (SELECT * FROM mine WHERE kind = 'impression')
        SELECT shown.position, shown.price_cents, shown.quantity, shown.surface,
               hour(shown.occurred_at)::BIGINT AS "occurred_at (hour)", shown.user, shown.item_id AS item,
               shown.session_id IS NOT NULL AS "session_id is known", shown.query IS NOT NULL AS "query is known",
               shown.position IS NOT NULL AS "position is known", shown.quantity IS NOT NULL AS "quantity is known",
               shown.price_cents IS NOT NULL AS "price_cents is known", shown.surface IS NOT NULL AS "surface is known",
               {_answered("click")} AS clicked, {_answered("purchase")} AS purchased
        FROM shown
        LEFT JOIN answers AS click ON click.kind = 'click' AND click.user = shown.user
             AND click.item_id = shown.item_id AND click.session_id IS NOT DISTINCT FROM shown.session_id
        LEFT JOIN answers AS purchase ON purchase.kind = 'purchase' AND purchase.user = shown.user
             AND purchase.item_id = shown.item_id AND purchase.session_id IS NOT DISTINCT FROM shown.session_id
        ORDER BY shown.event_id
        """
    ).to_arrow_table()
    labels = ("clicked", "purchased")
    columns = {name: _array(rows[name]) for name in rows.column_names if name not in (*labels, "user", "item")}
    item = rows["item"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    owners = [rows["user"].to_numpy().astype(np.int64), item]
    return columns, {name: _array(rows[name]).astype(bool) for name in labels}, owners


def _answered(kind: str) -> str:
    """SQL: whether one of `kind`'s times lies in (shown, shown + a day]."""
    return (
        f"coalesce(len(list_filter({kind}.times, lambda t: t > shown.occurred_at "
        f"AND t <= shown.occurred_at + INTERVAL {_HOURS} HOUR)) > 0, false)"
    )


def _array(column: pa.ChunkedArray) -> NDArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.to_numpy()
    return pc.cast(column, pa.float64()).to_numpy()
