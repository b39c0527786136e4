"""Which exposures events follow: the one definition of "clicked" for labels, features and leak sentinels, as SQL."""

from __future__ import annotations

_ALL, _NAMELESS, _NAMED = range(3)
"""Among which events an exposure looks for its own: all, those that name no session, those of its session."""


def reached(kinds: tuple[int, ...], within: int) -> str:
    """A query of the exposures followed by events of `kinds`, in that order, `within` µs: `row`, the last's `time`.

    It reads the tables `exposure` (row, user_no, item_no, visit, time) and `activity` (kind, and the same keys). Times
    are µs, `visit` is a number a session, null where none is named.

    An event belongs to an exposure of the same user and item, in the same session where both name one. Each exposure is
    joined with the first such event alone: however often one user turns to one item, the work is that of sorting.
    """
    query = step(None, kinds[0], within)
    for kind in kinds[1:]:
        query = step(f"({query})", kind, within)
    return query


def step(earlier: str | None, kind: int, within: int) -> str:
    """A query of the exposures that an event of `kind` follows, from the `time` on at which they were `reached` before.

    Args:
        earlier: a table, or a query in brackets, of `row` and `time`; None: all exposures, as of their own time.
    """
    since, joined = ("x.time", "") if earlier is None else ("e.time", f"JOIN {earlier} e ON e.row = x.row")
    # who names no session looks at all events; who names one at those of that session, and at those that name none
    return f"""
        SELECT x.row, min(a.time) AS time
        FROM (
            SELECT x.row, x.user_no, x.item_no, x.visit, {since} AS since, x.time + {within} AS until,
                unnest(CASE WHEN x.visit IS NULL THEN [{_ALL}] ELSE [{_NAMELESS}, {_NAMED}] END) AS among
            FROM exposure x {joined}
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


def _session(side: str) -> str:
    return f"CASE WHEN {side}.among = {_NAMED} THEN {side}.visit ELSE 0 END"
