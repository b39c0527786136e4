"""The sample for drift and the leak sentinels: all events of as many users as fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from triad.tables import quote
from triad.tasks import LABELS

MAX_ROWS = 1_000_000
"""Events taken. Whole users, in the order of their id's md5, so that the same data give the same sample."""

_ANSWERS = ("click", "purchase")
"""Events that answer an impression; the columns have the names of the labels that predict them."""

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
    named = ", ".join(f"users.{quote(name)}::VARCHAR AS {quote(f'users.{name}')}" for name in attributes)
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
    labels = {label.name: label.step for label in LABELS.values() if label.step in _ANSWERS}
    rows = session.sql(
        f"""
        WITH mine AS (
            SELECT events.*, user, session_id IS NULL AS is_apart, coalesce(session_id, '') AS visit
            FROM events JOIN sampled USING (user_id)
        )
        SELECT shown.position, shown.price_cents, shown.quantity, shown.surface,
               hour(shown.occurred_at)::BIGINT AS "occurred_at (hour)", shown.user, shown.item_id AS item,
               shown.session_id IS NOT NULL AS "session_id is known", shown.query IS NOT NULL AS "query is known",
               shown.position IS NOT NULL AS "position is known", shown.quantity IS NOT NULL AS "quantity is known",
               shown.price_cents IS NOT NULL AS "price_cents is known", shown.surface IS NOT NULL AS "surface is known",
               {", ".join(f"{_in_time(step)} AS {label}" for label, step in labels.items())}
        FROM (SELECT * FROM mine WHERE kind = 'impression') AS shown {" ".join(map(_next, labels.values()))}
        ORDER BY shown.event_id
        """
    ).to_arrow_table()
    columns = {name: _array(rows[name]) for name in rows.column_names if name not in (*labels, "user", "item")}
    item = rows["item"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    owners = [rows["user"].to_numpy().astype(np.int64), item]
    return columns, {name: _array(rows[name]).astype(bool) for name in labels}, owners


def _next(kind: str) -> str:
    """SQL: joins an impression with the first `kind` after it of the same user, item and session."""
    keys = ("user", "item_id", "is_apart", "visit")
    same = " AND ".join(f"{kind}.{key} = shown.{key}" for key in keys)
    return (
        f"ASOF LEFT JOIN (SELECT {', '.join(keys)}, occurred_at FROM mine WHERE kind = '{kind}') AS {kind} "
        f"ON {same} AND {kind}.occurred_at > shown.occurred_at"
    )


def _in_time(kind: str) -> str:
    return f"coalesce({kind}.occurred_at <= shown.occurred_at + INTERVAL {_HOURS} HOUR, false)"


def _array(column: pa.ChunkedArray) -> NDArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.to_numpy()
    return pc.cast(column, pa.float64()).to_numpy()
