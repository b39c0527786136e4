"""Units sold and the price asked, by product and day (or week, where the log is long)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.errors import TriadError

MOST_ROWS = 400_000
"""Rows of a panel by day; a longer one is by week."""


@dataclass(frozen=True)
class Panel:
    """(n,) each: rows of products and periods on which a price was asked."""

    item: Ints  # place in `item_id`
    period: Ints
    log_price: Floats
    promoted: Floats  # share of the period
    units: Floats
    days: int  # of a period

    item_id: Sequence[str]  # (m,) each
    title: Sequence[str]
    category: Sequence[str]
    cents: Floats  # last price asked without a promotion


def read(session: duckdb.DuckDBPyConnection) -> Panel:
    """From the contract's tables. Without a table of prices, a day's price is the middle one of its purchases, and
    stays until the next.

    Raises:
        TriadError: nothing was sold, or no price is known.
    """
    there = {name for (name,) in session.execute("SHOW TABLES").fetchall()}
    given = "prices" in there and bool(session.execute("SELECT 1 FROM prices LIMIT 1").fetchall())
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE asked AS
        {_TABLE if given else _EVENTS}
    """)
    (rows,) = session.execute("SELECT count(*) FROM asked").fetchone() or (0,)
    days = 1 if rows <= MOST_ROWS else 7
    panel = session.execute(f"""
        WITH sold AS (
            SELECT item_id, (epoch_us(occurred_at) // 86_400_000_000)::INT AS day, sum(coalesce(quantity, 1)) AS units
            FROM events WHERE kind = 'purchase' GROUP BY ALL
        )
        SELECT item_id, day // {days} AS period, avg(ln(cents)) AS log_price, avg(is_promoted::INT) AS promoted,
            sum(coalesce(units, 0))::DOUBLE AS units
        FROM asked LEFT JOIN sold USING (item_id, day) GROUP BY ALL ORDER BY item_id, period
    """).fetchnumpy()
    last = dict(
        session.execute("""
        SELECT item_id, coalesce(arg_max(cents, day) FILTER (NOT is_promoted), arg_max(cents, day))::DOUBLE
        FROM asked GROUP BY item_id""").fetchall()
    )
    session.execute("DROP TABLE asked")
    if not len(panel["item_id"]) or panel["units"].sum() <= 0:
        mend = "give purchases with prices, or a table of prices"
        raise TriadError("nothing was sold at a known price", where="table events", mend=mend)
    ids, item = np.unique(panel["item_id"].astype(str), return_inverse=True)
    named = session.execute("SELECT item_id, coalesce(title, ''), coalesce(category, '') FROM items").fetchall()
    said = {key: (title, category) for key, title, category in named}
    return Panel(
        item=item,
        period=np.asarray(panel["period"], np.int64),
        log_price=np.asarray(panel["log_price"], np.float64),
        promoted=np.asarray(panel["promoted"], np.float64),
        units=np.asarray(panel["units"], np.float64),
        days=days,
        item_id=ids.tolist(),
        title=[said[key][0] for key in ids],
        category=[said[key][1] for key in ids],
        cents=np.array([last[key] for key in ids], np.float64),
    )


_TABLE = """
    SELECT item_id, (day - DATE '1970-01-01')::INT AS day, price_cents AS cents,
        coalesce(is_promoted, false) AS is_promoted
    FROM prices SEMI JOIN items USING (item_id) WHERE price_cents > 0
"""
_EVENTS = """
    WITH paid AS (
        SELECT item_id, (epoch_us(occurred_at) // 86_400_000_000)::INT AS day, median(price_cents) AS cents
        FROM events SEMI JOIN items USING (item_id) WHERE kind = 'purchase' AND price_cents > 0 GROUP BY ALL
    ), span AS (
        SELECT item_id, unnest(range(min(day), (SELECT max(day) FROM paid) + 1))::INT AS day FROM paid GROUP BY item_id
    )
    SELECT item_id, day, last_value(cents IGNORE NULLS) OVER (
        PARTITION BY item_id ORDER BY day ROWS UNBOUNDED PRECEDING) AS cents, false AS is_promoted
    FROM span LEFT JOIN paid USING (item_id, day)
"""
