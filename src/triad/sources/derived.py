"""Tables that are derived from events (users, items, prices by day), and cancelled purchases.

All are queries on the DuckDB table `events` of `files.py`, whose columns `<table>.<column>` carry what the mapping
declares for a derived table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import duckdb

from triad.config.files import TOLD
from triad.schema import TABLES
from triad.sources.base import ROW
from triad.sources.cells import literal, quote

log = logging.getLogger("triad.ingest")


def remove_cancelled(session: duckdb.DuckDBPyConnection, *, before: datetime, order: str = ROW) -> None:
    """Deletes the lines that cancel from `events`, and the purchases they cancel.

    A line cancels the latest purchase before it of the same user, item and quantity that no other line has cancelled.
    Lines from `before` on are not known yet. A line that matches none (a part of the quantity, a purchase older than
    the file) takes nothing back. Lines of one moment come in the `order` of that column.
    """
    # Purchases open and lines close, like brackets: at each depth the two alternate, so a purchase is taken back where
    # a line of its depth comes next. A line where nothing is open is a new minimum of the running sum, and left out.
    pairs = f"""
    WITH line AS (
        SELECT {quote(ROW)} AS row, {quote(order)} AS place, user_id, item_id, abs(quantity) AS pieces, occurred_at,
               is_cancellation
        FROM events
        WHERE occurred_at < {_moment(before)} AND quantity <> 0 AND (is_cancellation OR kind = 'purchase')
    ), concerned AS (
        SELECT * FROM line SEMI JOIN (SELECT DISTINCT user_id, item_id, pieces FROM line WHERE is_cancellation)
        USING (user_id, item_id, pieces)
    ), walk AS (
        SELECT *, sum(CASE WHEN is_cancellation THEN -1 ELSE 1 END) OVER (
            PARTITION BY user_id, item_id, pieces ORDER BY occurred_at, is_cancellation, place
        ) AS total FROM concerned
    ), depth AS (
        SELECT *, least(0, min(total) OVER (
            PARTITION BY user_id, item_id, pieces ORDER BY occurred_at, is_cancellation, place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) AS lowest FROM walk
    ), matched AS (
        SELECT *, lead(is_cancellation) OVER (
            PARTITION BY user_id, item_id, pieces, total - lowest + is_cancellation::INT
            ORDER BY occurred_at, is_cancellation, place
        ) AS is_next FROM depth WHERE total >= lowest
    )
    SELECT row FROM matched WHERE is_next AND NOT is_cancellation
    """
    lines = session.execute("SELECT count(*) FROM events WHERE is_cancellation").fetchall()[0][0]
    if not lines:
        return
    session.execute(f"CREATE TABLE taken_back AS {pairs}")
    session.execute(f"DELETE FROM events WHERE is_cancellation OR {quote(ROW)} IN (FROM taken_back)")
    count = session.execute("SELECT count(*) FROM taken_back").fetchall()[0][0]
    log.info("events: %s cancellation lines left out, and %s purchases they cancel", f"{lines:,}", f"{count:,}")


def users(columns: Sequence[str], first: datetime, last: datetime) -> str:
    """Users with an event in the window: when first seen, and each attribute as first said."""
    attributes = "".join(
        f", first({quote(f'users.{name}')} ORDER BY occurred_at, event_id) "
        f"FILTER (WHERE {quote(f'users.{name}')} IS NOT NULL) AS {quote(name)}"
        for name in columns
    )
    return (
        f"SELECT user_id, min(occurred_at) AS signed_up_at{attributes} FROM events WHERE occurred_at < {_moment(last)} "
        f"GROUP BY user_id HAVING max(occurred_at) >= {_moment(first)} ORDER BY user_id"
    )


def items(columns: Sequence[str], first: datetime, last: datetime) -> str:
    """Items with an event in the window: texts as said most often, price of the last day with one, when first seen.

    An item whose events carry no price has none, which the contract refuses.
    """
    texts = "".join(f", {quote(name)}.{quote(name)}" for name in columns)
    joins = "".join(
        f" LEFT JOIN (SELECT item_id, arg_max({quote(name)}, (n, {quote(name)})) AS {quote(name)} FROM "
        f"(SELECT item_id, {quote(f'items.{name}')} AS {quote(name)}, count(*) AS n FROM known GROUP BY ALL) "
        f"WHERE {quote(name)} IS NOT NULL GROUP BY item_id) AS {quote(name)} USING (item_id)"
        for name in columns
    )
    return f"""
    WITH known AS (FROM events WHERE occurred_at < {_moment(last)}), daily AS ({_daily("known")}), seen AS (
        SELECT item_id, min(occurred_at) AS available_from FROM known
        GROUP BY item_id HAVING max(occurred_at) >= {_moment(first)}
    ), priced AS (
        SELECT item_id, arg_max(price_cents, day) AS price_cents FROM daily GROUP BY item_id
    )
    SELECT item_id{texts}, price_cents, available_from
    FROM seen LEFT JOIN priced USING (item_id){joins} ORDER BY item_id
    """


def prices(columns: Sequence[str], first: datetime, last: datetime) -> str:
    """Each item's price on each day of the window from its first: that day's median, else the last day's with one.

    Events do not tell promotions, so `is_promoted` is false.
    """
    return f"""
    WITH known AS (FROM events WHERE occurred_at < {_moment(last)}), daily AS ({_daily("known")}), span AS (
        SELECT item_id, price_cents, greatest(day, {_day(first)}) AS day,
               lead(day, 1, {_day(last)}) OVER (PARTITION BY item_id ORDER BY day) AS until
        FROM daily
    )
    SELECT item_id, unnest(range(day, until, INTERVAL 1 DAY))::DATE AS day, price_cents, false AS is_promoted
    FROM span WHERE day < until AND item_id IN (SELECT item_id FROM events
        WHERE occurred_at >= {_moment(first)} AND occurred_at < {_moment(last)})
    ORDER BY day, item_id
    """


QUERIES: dict[str, Callable[[Sequence[str], datetime, datetime], str]] = {
    "users": users,
    "items": items,
    "prices": prices,
}
"""Table → SQL from the columns the mapping declares for it, and the window's first moment and its end."""


def completed(
    session: duckdb.DuckDBPyConnection,
    name: str,
    columns: Collection[str],
    query: str,
    window: tuple[datetime, datetime],
) -> str:
    """`query`'s rows of table `name`, and one for each user or item that only the events of the window name.

    Such a row has what the events tell and no attribute. An item that no event prices cannot have one. What the
    mapping's `columns` lack the events tell of the others too; a row of which they do not is left out.
    """
    key = TABLES[name].key[0]
    lacking = [column for column in TOLD[name] if column not in columns]
    session.execute(f"CREATE TABLE kept_{name} AS {query}")
    session.execute(f"CREATE TABLE told_{name} AS {QUERIES[name]((), *window)}")
    if lacking:
        known = " AND ".join(f"{column} IS NOT NULL" for column in lacking)
        before = session.table(f"kept_{name}").shape[0]
        session.execute(
            f"CREATE OR REPLACE TABLE kept_{name} AS SELECT kept.*, {', '.join(lacking)} "
            f"FROM kept_{name} AS kept JOIN told_{name} USING ({key}) WHERE {known}"
        )
        if out := before - session.table(f"kept_{name}").shape[0]:
            log.info("%s: %s left out, of which no event tells %s", name, f"{out:,}", ", ".join(lacking))
    session.execute(
        f"CREATE TABLE new_{name} AS SELECT *, {'price_cents IS NOT NULL' if name == 'items' else 'true'} AS is_whole "
        f"FROM told_{name} WHERE {key} NOT IN (SELECT {key} FROM kept_{name})"
    )
    counts = dict(session.execute(f"SELECT is_whole, count(*) FROM new_{name} GROUP BY ALL").fetchall())
    unpriced = f"; {counts[False]:,} more have no price there either, and stay unknown" if False in counts else ""
    log.info("%s: %s completed, whom only events name%s", name, f"{counts.get(True, 0):,}", unpriced)
    return (
        f"SELECT * FROM kept_{name} UNION ALL BY NAME "
        f"SELECT * EXCLUDE (is_whole) FROM new_{name} WHERE is_whole ORDER BY {key}"
    )


def _daily(source: str) -> str:
    """Each item's median price a day, over all events that carry one: an amount that was really asked."""
    return (
        "SELECT item_id, CAST(occurred_at AS DATE) AS day, quantile_disc(price_cents, 0.5) AS price_cents "
        f"FROM {source} WHERE price_cents IS NOT NULL GROUP BY ALL"
    )


def _moment(time: datetime) -> str:
    return f"TIMESTAMPTZ {literal(time.isoformat())}"


def _day(time: datetime) -> str:
    return f"DATE {literal(time.date().isoformat())}"
