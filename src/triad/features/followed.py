"""Exposures that events follow, found once a session: places, clicks and conversions share their first steps."""

from __future__ import annotations

import duckdb

from triad.tasks.following import step

_PREFIX = "followed_"


def followed(session: duckdb.DuckDBPyConnection, kinds: tuple[int, ...], within: int) -> str:
    """`tasks.following.reached` of the session's own `exposure`, as the name of a table that stays."""
    name, earlier = f"{_PREFIX}{within}", None
    for kind in kinds:
        name = f"{name}_{kind}"
        session.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {step(earlier, kind, within)}")
        earlier = name
    return name


def forget_followed(session: duckdb.DuckDBPyConnection) -> None:
    """Drop what was found of former exposures, or of events that go."""
    names = f"SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '{_PREFIX}')"
    for (name,) in session.execute(names).fetchall():
        session.execute(f"DROP TABLE {name}")
