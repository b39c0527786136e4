"""The rows that models score: impressions, or the first recorded funnel step with sampled items beside it.

Leaves the table `exposure` in the session, numbered by (user, time, event_id).
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from triad.features.followed import forget_followed
from triad.features.parts import Part
from triad.features.signals import AT_PLACE
from triad.features.sql import DAY, columns


def build(session: duckdb.DuckDBPyConnection, first_kind: int, negatives: int, seed: int) -> None:
    """Make `exposure` from `activity`: events of `first_kind`, and `negatives` sampled items beside each (0: none)."""
    if negatives:
        _rank_items(session)
    sampled = f"UNION ALL {_sampled(first_kind, negatives, seed)}" if negatives else ""
    _number(
        session,
        f"""
        SELECT event_id, user_no, item_no, time, day, visit, surface,
            {_as_shown("position", negatives)} AS position, {_as_shown("price_cents", negatives)} AS price_cents,
            {_as_shown("query_no", negatives)} AS query_no
        FROM activity WHERE kind = {first_kind} {sampled}
        """,
    )


def replace(session: duckdb.DuckDBPyConnection, candidates: pa.Table, negatives: int) -> None:
    """Make `exposure` from exposures that did not happen (see `build.transform`), as a recorded one would read."""
    session.register("candidate", candidates)
    _number(
        session,
        f"""
        SELECT event_id, user_no, item_no, epoch_us(occurred_at) AS time, (epoch_us(occurred_at) // {DAY})::INT AS day,
            NULL::UBIGINT AS visit, surface, {_as_shown("position", negatives)} AS position, NULL AS price_cents,
            NULL::INT AS query_no
        FROM candidate JOIN user_row USING (user_id) JOIN item_row USING (item_id)
        """,
    )
    session.unregister("candidate")


def read(
    session: duckdb.DuckDBPyConnection, surfaces: tuple[str, ...], at_places: bool, part: Part
) -> dict[str, np.ndarray]:
    """The columns of the part's exposures as arrays, in their order; a surface by its place in `surfaces`.

    -1 and NaN are none.
    """
    known = ", ".join("'" + name.replace("'", "''") + "'" for name in surfaces)
    surface = f"coalesce(list_position([{known}], a.surface), 0) - 1" if surfaces else "-1"
    place, joined = ("coalesce(place_no, -1)", AT_PLACE) if at_places else ("-1", "")
    return columns(
        session,
        f"""SELECT user_no AS user, item_no AS item, time, position::FLOAT AS position, ({surface})::TINYINT AS surface,
                price_cents::FLOAT AS price, coalesce(query_no, -1)::INT AS query, ({place})::INT AS place
            FROM exposure a {joined} WHERE {part.rows_where} ORDER BY row""",
    )


def last_day(candidates: pa.Table) -> int:
    """The last UTC day of these exposures, in days since the epoch; -1 without any."""
    latest = pc.max(candidates["occurred_at"]).cast(pa.int64()).as_py()
    return -1 if latest is None else int(latest // DAY)


def _number(session: duckdb.DuckDBPyConnection, rows: str) -> None:
    forget_followed(session)
    # sorted, then counted as they come: a window of its own would hold all columns once more
    session.execute(f"""
        CREATE OR REPLACE TABLE exposure AS
        SELECT (row_number() OVER () - 1)::INT AS row, * FROM (
            SELECT * FROM ({rows}) ORDER BY user_no, time, event_id
        )
    """)


def _as_shown(column: str, negatives: int) -> str:
    # what only a recorded event knows would tell it from a sampled row
    return "NULL" if negatives else column


def _rank_items(session: duckdb.DuckDBPyConnection) -> None:
    session.execute("""
        CREATE OR REPLACE TEMP TABLE item_rank AS
        SELECT item_no, available_from, row_number() OVER (ORDER BY available_from, item_no) AS rank FROM item_row
    """)


def _sampled(first_kind: int, negatives: int, seed: int) -> str:
    """Uniform over the items available at that moment, drawn by hash, so that a run repeats itself.

    Items the user knows are drawn like others: were they left out, having been seen would give the label away.
    """
    return f"""
        SELECT p.event_id || '~' || min(p.draw) AS event_id, p.user_no, r.item_no, p.time, p.day, p.visit, p.surface,
            NULL AS position, NULL AS price_cents, NULL AS query_no
        FROM (
            SELECT e.*, draw, 1 + md5_number_lower({seed} || ':' || event_id || ':' || draw) % n.available AS rank
            FROM (SELECT * FROM activity WHERE kind = {first_kind}) e
            ASOF JOIN (SELECT available_from, max(rank) AS available FROM item_rank GROUP BY available_from) n
                ON e.time >= n.available_from
            CROSS JOIN (SELECT unnest(range(1, {negatives} + 1)) AS draw)
        ) p
        JOIN item_rank r USING (rank)
        ANTI JOIN (SELECT * FROM activity WHERE kind = {first_kind}) taken
            ON taken.user_no = p.user_no AND taken.item_no = r.item_no AND taken.time = p.time
        GROUP BY p.event_id, p.user_no, r.item_no, p.time, p.day, p.visit, p.surface
    """
