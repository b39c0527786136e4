"""Users and items of the window's tables with numeric ids, and the event log in these ids.

Leaves the tables `user_row`, `item_row`, `query_row` and `activity` in the session, which all queries read. Tables that
parts are made from (`item_row`, `exposure`, `place`, `signal`) are not temporary: cursors see them, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Ints
from triad.errors import TriadError
from triad.features.sql import DAY, columns, scalar, texts
from triad.schema import EVENT_KINDS
from triad.texts import Texts

WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Catalogue:
    """Arrays by catalogue row. Codes number the values found here; -1 is none."""

    item_id: Texts
    paths: tuple[Texts, ...]  # each level's category prefixes, "" where the path is shorter
    category: Ints  # (n_items, levels) codes
    brands: Texts
    brand: Ints  # codes
    titles: Texts
    available_from: Ints
    list_price: Ints
    user_id: Texts
    signed_up_at: Ints

    @property
    def levels(self) -> int:
        return len(self.paths)


def read(session: duckdb.DuckDBPyConnection, levels: int, make_activity: Callable[[], None] | None = None) -> Catalogue:
    """Number users and items, make `activity`, and return the catalogue.

    Args:
        make_activity: leaves `query_row` and `activity` in the session; None: by `activity`.

    Raises:
        TriadError: an event names a user, an item or a kind that the tables do not know.
    """
    session.execute("""
        CREATE OR REPLACE TEMP TABLE user_row AS
        SELECT user_id, (row_number() OVER (ORDER BY user_id) - 1)::INT AS user_no,
            epoch_us(signed_up_at) AS signed_up_at
        FROM users
    """)
    session.execute("""
        CREATE OR REPLACE TEMP TABLE item_number AS
        SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::INT AS item_no,
            epoch_us(available_from) AS available_from
        FROM items
    """)
    items = columns(
        session,
        """
        SELECT n.available_from, i.price_cents FROM items i JOIN item_number n USING (item_id) ORDER BY n.item_no
    """,
    )
    text = {name: texts(session, name, "items", "item_id") for name in ("item_id", "category", "brand", "title")}
    paths = _prefixes(text["category"], levels)
    category = np.stack([_codes(prefixes) for prefixes in paths], axis=1)
    brand = _codes(text["brand"])
    _item_rows(session, category, brand)
    if make_activity is None:
        activity(session)
    else:
        make_activity()
    lost = scalar(session, "SELECT count(*) FROM events") - scalar(session, "SELECT count(*) FROM activity")
    if lost:
        raise TriadError(
            f"{lost} events name a user or item that its table does not hold, twice-listed ids, or an unknown kind",
            where="table events",
            mend="run `triad validate`, which lists them",
        )
    return Catalogue(
        item_id=text["item_id"],
        paths=paths,
        category=category,
        brands=text["brand"],
        brand=brand,
        titles=text["title"],
        available_from=items["available_from"],
        list_price=items["price_cents"],
        user_id=texts(session, "user_id", "user_row", "user_no"),
        signed_up_at=columns(session, "SELECT signed_up_at FROM user_row ORDER BY user_no")["signed_up_at"],
    )


def words(title: str, most: int) -> list[str]:
    """The title's first `most` words, lower case."""
    return [match[0] for match in islice(WORD.finditer(title.lower()), most)]


def _prefixes(paths: Texts, levels: int) -> tuple[Texts, ...]:
    parts = [path.split("/", levels) if path else [] for path in paths]
    return tuple(Texts.of("/".join(p[: level + 1]) if len(p) > level else "" for p in parts) for level in range(levels))


def _codes(values: Texts) -> Ints:
    known, codes = values.codes()
    return (codes - int(len(known) > 0 and known[0] == "")).astype(np.int32)


def _item_rows(session: duckdb.DuckDBPyConnection, category: Ints, brand: Ints) -> None:
    names = [f"category_{level + 1}" for level in range(category.shape[1])]
    codes = {"item_no": np.arange(len(brand), dtype=np.int32), "brand": brand}
    codes |= {name: np.ascontiguousarray(category[:, level]) for level, name in enumerate(names)}
    session.register("item_codes", pa.table(codes))
    session.execute("CREATE OR REPLACE TABLE item_row AS SELECT * FROM item_number JOIN item_codes USING (item_no)")
    session.unregister("item_codes")
    session.execute("DROP TABLE item_number")


def number_queries(session: duckdb.DuckDBPyConnection, source: str) -> None:
    """Leave `query_row` in the session; `source` has each query once."""
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE query_row AS
        SELECT query, (row_number() OVER (ORDER BY query) - 1)::INT AS query_no FROM {source}
    """)


QUERIES = "SELECT DISTINCT query FROM events WHERE query IS NOT NULL"


def activity(session: duckdb.DuckDBPyConnection) -> None:
    """Leave `query_row` and `activity`, the events in numbers, in the session."""
    number_queries(session, f"({QUERIES})")
    kinds = ", ".join(f"'{kind}'" for kind in EVENT_KINDS)
    session.execute(f"""
        CREATE OR REPLACE TABLE activity AS
        SELECT event_id, user_no, item_no, epoch_us(occurred_at) AS time, (epoch_us(occurred_at) // {DAY})::INT AS day,
            (list_position([{kinds}], kind) - 1)::TINYINT AS kind,
            CASE WHEN session_id IS NOT NULL THEN hash(session_id) END AS visit,
            position::INT AS position, surface, CASE WHEN price_cents > 0 THEN price_cents END AS price_cents,
            coalesce(quantity, 1) AS quantity, query_no
        FROM events JOIN user_row USING (user_id) JOIN item_row USING (item_id) LEFT JOIN query_row USING (query)
        WHERE kind IN ({kinds})
    """)
