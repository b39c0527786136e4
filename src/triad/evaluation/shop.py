"""What the shop's tables say of the items, exposures and users of a test window, for its slices and examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from triad.evaluation.window import Window
from triad.examples.dataset import Dataset
from triad.features.sql import columns
from triad.tables import connect, quote
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Shop:
    """Texts; None where the source does not say them."""

    titles: list[str]  # (n_items,)
    category: np.ndarray  # (n_items,) top level
    surface: np.ndarray | None  # (n,) of each exposure of the window
    market: np.ndarray | None  # (n_users,) "" where null


def read_shop(tables: Path, data: Dataset, window: Window, market: str | None) -> Shop:
    """Reads `tables`; `market` names the column of users that holds the market."""
    session = connect(tables)
    try:
        session.register("wanted_items", _keys("item_id", data.items.item_id))
        items = session.execute(
            "SELECT coalesce(title, item_id), coalesce(nullif(split_part(category, '/', 1), ''), 'no category') "
            "FROM wanted_items LEFT JOIN items USING (item_id) ORDER BY place"
        ).fetchall()
        session.register("wanted_events", _keys("event_id", data.exposures.event_id[window.rows]))
        surfaces = session.execute(
            "SELECT coalesce(surface, 'not named') FROM wanted_events LEFT JOIN events USING (event_id) ORDER BY place"
        ).fetchall()
        markets = _markets(session, data, market)
    finally:
        session.close()
    return Shop(
        titles=[title for title, _ in items],
        category=np.array([category for _, category in items], dtype=object),
        surface=np.array([name for (name,) in surfaces], dtype=object) if len(surfaces) == len(window.rows) else None,
        market=markets,
    )


def _markets(session: duckdb.DuckDBPyConnection, data: Dataset, column: str | None) -> np.ndarray | None:
    named = "SELECT 1 FROM duckdb_columns() WHERE table_name = 'users' AND column_name = ?"
    if column is None or not session.execute(named, [column]).fetchall():
        return None
    session.register("wanted_users", _keys("user_id", data.users.user_id))
    query = (
        f"SELECT {quote(column)}::VARCHAR AS market FROM wanted_users LEFT JOIN users USING (user_id) ORDER BY place"
    )
    return columns(session, query)["market"]


def _keys(name: str, values: Texts) -> pa.Table:
    return pa.table({"place": np.arange(len(values)), name: pa.array(values)})
