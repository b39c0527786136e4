"""The sample for drift and the leak sentinels: all events of as many users as fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from triad.schema import EVENT_KINDS
from triad.tables import quote
from triad.tasks import LABELS
from triad.tasks.following import reached
from triad.texts import Texts

MAX_ROWS = 1_000_000
"""Events taken. Whole users, in the order of their id's md5, so that the same data give the same sample."""

_WITHIN = 86_400_000_000  # µs: a click later than this after an impression is not its answer

Columns = dict[str, NDArray]


def pick_users(session: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `sampled` (user_id, user): users whose events are `MAX_ROWS` in all, or just above."""
    session.execute(
        """
        CREATE OR REPLACE TEMP TABLE sampled AS
        WITH sizes AS (SELECT user_id, count(*) AS events FROM events GROUP BY user_id),
        placed AS (SELECT user_id, row_number() OVER w - 1 AS user, sum(events) OVER w - events AS before
                   FROM sizes WINDOW w AS (ORDER BY md5(user_id), user_id ROWS UNBOUNDED PRECEDING))
        SELECT user_id, user FROM placed WHERE before < ?
        """,
        [MAX_ROWS],
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
    item = Texts.of(rows["item_id"]).codes()[1]
    return columns, _array(rows["recent"]).astype(bool), [rows["user"].to_numpy().astype(np.int64), item]


def read_impressions(session: duckdb.DuckDBPyConnection) -> tuple[Columns, Columns, list[NDArray[np.integer]]]:
    """Raw columns of the sampled users' impressions, and whether each was answered within a day, (n,) each: by the
    label of each step that the log records; and each one's user and item.

    A column that may be null also comes as `<column> is known`.
    """
    kinds = ", ".join(f"'{kind}'" for kind in EVENT_KINDS)
    keys = """user AS user_no, item_id AS item_no, epoch_us(occurred_at) AS time,
        CASE WHEN session_id IS NOT NULL THEN hash(session_id) END AS visit"""
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE activity AS
        SELECT (list_position([{kinds}], kind) - 1)::TINYINT AS kind, {keys} FROM events JOIN sampled USING (user_id)
        """
    )
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE exposure AS
        SELECT row_number() OVER (ORDER BY event_id) - 1 AS row, * EXCLUDE (user_id, user), {keys}
        FROM events JOIN sampled USING (user_id) WHERE kind = '{EVENT_KINDS[0]}'
        """
    )
    rows = session.sql(
        """
        SELECT position, price_cents, quantity, surface, hour(occurred_at)::BIGINT AS "occurred_at (hour)",
               session_id IS NOT NULL AS "session_id is known", query IS NOT NULL AS "query is known",
               position IS NOT NULL AS "position is known", quantity IS NOT NULL AS "quantity is known",
               price_cents IS NOT NULL AS "price_cents is known", surface IS NOT NULL AS "surface is known",
               user_no, item_id
        FROM exposure ORDER BY row
        """
    ).to_arrow_table()
    *names, user, item = rows.column_names
    columns = {name: _array(rows[name]) for name in names}
    owners = [rows[user].to_numpy().astype(np.int64), Texts.of(rows[item]).codes()[1]]
    recorded = {step for (step,) in session.execute("SELECT DISTINCT kind FROM activity").fetchall()}
    steps = {label.name: EVENT_KINDS.index(label.step) for label in LABELS.values() if label.step is not None}
    answered = {name: _followed(session, step, rows.num_rows) for name, step in steps.items() if step in recorded}
    session.execute("DROP TABLE exposure; DROP TABLE activity")
    return columns, answered, owners


def _followed(session: duckdb.DuckDBPyConnection, step: int, impressions: int) -> NDArray[np.bool_]:
    answered = np.zeros(impressions, bool)
    answered[session.execute(f"SELECT row FROM ({reached((step,), _WITHIN)})").fetchnumpy()["row"]] = True
    return answered


def _array(column: pa.ChunkedArray) -> NDArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.to_numpy()
    return pc.cast(column, pa.float64()).to_numpy()
