"""Users with far more events than others: a bot, a reseller, a shared account. They are named or set aside.

How many events a user has is skewed in every shop, so its logarithm is judged, by the scatter of most users; and who
alone makes a part of all events that shows is named where that scatter is wide.
"""

from __future__ import annotations

import math

import duckdb

from triad.redaction import shown
from triad.validation.checks import Check
from triad.validation.rows import places

MANY_EVENTS = "events_a_user"

_FAR = 6  # robust deviations of a user's log count above the median
_SCATTER = 0.5  # and never less than this for one: where users are all alike, few are outside
_PART, _TIMES = 0.05, 10  # or this part of all events, and this many times the median
_MANY = 1_000  # events, below which nobody is named
_COUNTED = "SELECT user_id, count(*) AS events FROM events GROUP BY user_id"


def check_crowds(session: duckdb.DuckDBPyConnection, most: int | None) -> list[Check]:
    """A warning that names who is far outside; who has more events than `most` is not named but to be set aside."""
    statistics = session.execute(f"SELECT median(events), mad(ln(events)), sum(events) FROM ({_COUNTED})").fetchall()[0]
    if statistics[0] is None:
        return []
    median, scatter, total = float(statistics[0]), float(statistics[1]), int(statistics[2])
    by_scatter = median * math.exp(_FAR * max(1.4826 * scatter, _SCATTER))
    far = max(min(by_scatter, max(_PART * total, _TIMES * median)), _MANY)
    users = session.execute(
        f"SELECT user_id, events FROM ({_COUNTED}) WHERE events > ? AND events <= ? ORDER BY events DESC, user_id",
        [far, total if most is None else most],
    ).fetchall()
    message = f"no user has more than {far:,.0f} events, where most have about {median:,.0f}"
    if users:
        theirs = sum(events for _, events in users)
        message = (
            f"users with more than {far:,.0f} events, where most have about {median:,.0f}; together they have "
            f"{theirs:,} of {total:,} ({theirs / total:.1%}); bots or shared accounts are set aside by "
            "validate.max_events_a_user"
        )
    samples = tuple({"user_id": shown(user), "events": events} for user, events in users[:5])
    checks = [Check("users_far_outside", "events", "user_id", "warning", not users, message, len(users), samples)]
    return checks if most is None else [*checks, _many(session, most)]


def _many(session: duckdb.DuckDBPyConnection, most: int) -> Check:
    above = f"user_id IN (SELECT user_id FROM ({_COUNTED}) WHERE events > {most})"
    count = session.execute(f"SELECT count(*) FROM users WHERE {above}").fetchall()[0][0]
    message = f"no user has more than {most:,} events (validate.max_events_a_user)"
    rows = places("users", above) if count else ""
    return Check(MANY_EVENTS, "users", "user_id", "critical", not count, message, count, rows=rows)
