"""The values that are summed by day: an event's kind, the clicks expected from its position, and its price.

A click-through rate says as much of a place on the page as of what stood there. Divided by the clicks that the place
expects (COEC, Zhang and Jones, "Comparing click logs and editorial labels", WSDM 2007 workshop), it speaks of the item.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from triad.features.aggregates import Daily, daily
from triad.features.catalogue import Catalogue
from triad.features.followed import followed, forget_followed
from triad.features.parts import Part
from triad.features.sql import DAY, HOUR, MICRO
from triad.schema import EVENT_KINDS

IMPRESSION = EVENT_KINDS.index("impression")
SLOTS = 30
"""Places on the page told apart; those below share the last."""

_SLOT = f"least(coalesce(position, 0), {SLOTS})"
AT_PLACE = f"LEFT JOIN place p ON p.surface = coalesce(a.surface, '') AND p.slot = {_SLOT}"
"""Finds the place of an exposure or event `a`."""

TASTES = ("relative", "discount", "promoted")
"""How an item was priced: against its category, against its own last weeks, and whether it was promoted."""


@dataclass(frozen=True)
class Funnel:
    """Kinds of event that the source records, and those that tasks predict, as places in EVENT_KINDS."""

    kinds: tuple[int, ...]
    predicted: tuple[int, ...] = ()

    @property
    def shown(self) -> bool:
        return IMPRESSION in self.kinds

    @property
    def interactions(self) -> tuple[int, ...]:
        return tuple(code for code in self.kinds if code != IMPRESSION)

    @property
    def target(self) -> int:
        """The first kind of interaction."""
        return self.interactions[0]

    @property
    def counted(self) -> tuple[int, ...]:
        """Kinds that users' columns count: the first two, the last, and what tasks predict. Streams hold them all."""
        known = {*self.kinds[:1], self.target, self.kinds[-1], *self.predicted}
        return tuple(code for code in self.kinds if code in known)

    @property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """Pairs of kinds whose ratio is a rate: first to second step, second to each later one."""
        first = ((IMPRESSION, self.target),) if self.shown else ()
        return first + tuple((self.target, code) for code in self.interactions[1:] if code in self.counted)


def plural(kind: int) -> str:
    """The kind's name, counted."""
    return f"{EVENT_KINDS[kind]}{'es' if EVENT_KINDS[kind].endswith('h') else 's'}"


def measure(session: duckdb.DuckDBPyConnection, funnel: Funnel, hours: int) -> None:
    """Leave `signal` (user_no, item_no, day, kind, expected, relative, discount, promoted) in the session, by user.

    All but the keys are in millionths, of which 32 bits hold the log of any price. `expected` is the rate of the
    event's surface and position up to the end of its own day, which is before any day that asks.
    """
    if funnel.shown:
        number_places(session, f"({PLACES})")
        taken = followed(session, (funnel.target,), hours * HOUR)
        session.execute(f"CREATE OR REPLACE TEMP TABLE place_day AS {place_days(taken)}")
        base_rate(session)
    sign(session, funnel)


def sign(session: duckdb.DuckDBPyConnection, funnel: Funnel) -> None:
    """Make `signal` from `activity`, `price_grid` and, where pages are recorded, `place` and `base_rate`."""
    if funnel.shown:
        expected = "coalesce(b.expected, 0)"
        base = (
            f"{AT_PLACE} LEFT JOIN base_rate b ON a.kind = {IMPRESSION} AND b.day = a.day AND b.place_no = p.place_no"
        )
    else:
        expected, base = "0", ""
    session.execute(f"""
        CREATE OR REPLACE TABLE signal AS
        SELECT a.user_no, a.item_no, a.day, a.kind, ({expected})::INT AS expected,
            (coalesce((ln(a.price_cents) * {MICRO})::BIGINT, g.price) - g.category_price)::INT AS relative,
            (coalesce((ln(a.price_cents) * {MICRO})::BIGINT - g.price, 0) + g.discount)::INT AS discount,
            g.is_promoted::INT * {MICRO} AS promoted
        FROM activity a LEFT JOIN price_grid g ON g.item_no = a.item_no AND g.day = a.day {base}
        ORDER BY a.user_no
    """)


PLACES = f"SELECT DISTINCT coalesce(surface, '') AS surface, {_SLOT} AS slot FROM exposure"


def number_places(session: duckdb.DuckDBPyConnection, source: str) -> None:
    """Leave `place` in the session; `source` has each place on a page once."""
    session.execute(f"""
        CREATE OR REPLACE TABLE place AS
        SELECT *, (row_number() OVER (ORDER BY surface, slot) - 1)::INT AS place_no FROM {source}
    """)


def place_days(taken: str) -> str:
    """A query of how often each place was shown on each day, and how often what stood there was taken that day.

    Args:
        taken: a table, or a query in brackets, of the exposures that were (`tasks.following.reached`).
    """
    return f"""
        SELECT place_no, a.day, count(*) AS shown, count(r.row) AS taken
        FROM exposure a {AT_PLACE}
        LEFT JOIN {taken} r ON r.row = a.row AND r.time // {DAY} = a.day
        GROUP BY place_no, a.day
    """


def base_rate(session: duckdb.DuckDBPyConnection) -> None:
    """Make `base_rate` from `place_day`: the clicks that a place expects, up to the end of each day."""
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE base_rate AS
        WITH overall AS (
            SELECT day, (sum(sum(taken)) OVER so_far + 1) / (sum(sum(shown)) OVER so_far + 20) AS rate
            FROM place_day GROUP BY day WINDOW so_far AS (ORDER BY day)
        )
        SELECT place_no, d.day,
            ((sum(taken) OVER so_far + 20 * rate) / (sum(shown) OVER so_far + 20) * {MICRO})::BIGINT AS expected
        FROM place_day d JOIN overall USING (day) WINDOW so_far AS (PARTITION BY place_no ORDER BY d.day)
    """)


def places(session: duckdb.DuckDBPyConnection) -> Daily:
    """How often each place on a page was shown, and how often what stood there was taken on the same day."""
    return daily(session, "place_day", "place_no", {"shown": "shown", "taken": "taken"})


def slots(session: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], int]:
    """(surface, slot) → the number of that place, where `places` knows one."""
    rows = session.execute("SELECT surface, slot, place_no FROM place").fetchall()
    return {(str(surface), int(slot)): int(number) for surface, slot, number in rows}


def forget(session: duckdb.DuckDBPyConnection) -> None:
    """Drop what the sums were taken of: its memory is better spent on the features."""
    for table in ("signal", "price_grid", "price_known", "exposure", "activity"):
        session.execute(f"DROP TABLE {table}")
    forget_followed(session)


def entities(levels: int, n_items: int) -> dict[str, str]:
    """SQL expressions of the entities that are summed over; -1 where an item has no such attribute."""
    attributes = [f"category_{level + 1}" for level in range(levels)] + ["brand"]
    return {
        "overall": "0",
        "item": "item_no",
        "user": "user_no",
        **{name: name for name in attributes},
        **{
            f"user_{name}": f"CASE WHEN {name} >= 0 THEN user_no::BIGINT * {n_items} + {name} ELSE -1 END"
            for name in attributes
        },
        "user_item": f"user_no::BIGINT * {n_items} + item_no",
    }


def daily_sums(
    session: duckdb.DuckDBPyConnection, funnel: Funnel, known: Catalogue, *, of_users: bool, part: Part | None = None
) -> dict[str, Daily]:
    """Daily sums of `signal` by entity: counts by kind, expected clicks, and how what a user took was priced.

    Args:
        of_users: the sums of users and of what they turned to, those of the `part` alone; else all others.
    """
    all_counts = {plural(kind): f"(kind = {kind})::INT" for kind in funnel.kinds}
    counts = {plural(kind): all_counts[plural(kind)] for kind in funnel.counted}
    places = {"expected": "expected"} if funnel.shown else {}
    tastes = {}
    for kind in dict.fromkeys((*funnel.kinds[:1], funnel.target, funnel.kinds[-1])):
        for taste in TASTES:
            tastes[f"{taste}_{plural(kind)}"] = f"CASE WHEN kind = {kind} THEN {taste} END"
            tastes[f"{taste}_{plural(kind)}_known"] = f"(kind = {kind} AND {taste} IS NOT NULL)::INT"
    source = f"(SELECT * FROM signal JOIN item_row USING (item_no) WHERE {part.users_where if part else True})"
    sums = {"item": all_counts, "user": counts | tastes}
    return {
        name: daily(session, source, expression, sums.get(name, counts) | places)
        for name, expression in entities(known.levels, len(known.item_id)).items()
        if name.startswith("user") == of_users
    }
