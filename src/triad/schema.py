"""The column dictionary: every table of the contract, each column declared once.

Sources must produce these tables; the expectations and the documentation are made from them. Times are UTC with
microseconds, money is whole minor units (cents) of one currency. Nothing here reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "int64", "float64", "bool", "timestamp", "date"]

EVENT_KINDS = ("impression", "click", "cart", "purchase")
"""The funnel, in order. A kind's place in this tuple is its code in feature arrays."""


ATTRIBUTE_LENGTH = 1_000
"""Characters of a text in a column that the shop declared itself."""

MOST_CATEGORIES = 10_000
"""Distinct values of a user's attribute that the models are to learn: each is a row or an output of a network."""


@dataclass(frozen=True)
class Column:
    """One column: `type` is its values', `unit` what a number counts, `personal` whether it says something of a person.

    A text of more than `max_length` characters is no name and no title but an accident, or an attack.
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    nullable: bool = False
    personal: bool = False
    max_length: int = 256


@dataclass(frozen=True)
class Table:
    """One table. `key` is unique; a table with a `day_of` column is partitioned by that column's UTC day."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    day_of: str | None = None
    open: bool = False  # further columns (attributes the shop declares) are allowed

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError where the contract has none."""
        return next(c for c in self.columns if c.name == name) if name in self.names else _missing(self.name, name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


def _missing(table: str, name: str) -> Column:
    raise KeyError(f"table {table!r} has no column {name!r}")


USERS = Table(
    "users",
    ("user_id",),
    (
        Column("user_id", "string", "the shop's id of a customer", personal=True),
        Column("signed_up_at", "timestamp", "when the customer was first known", unit="UTC", personal=True),
    ),
    open=True,
)
ITEMS = Table(
    "items",
    ("item_id",),
    (
        Column("item_id", "string", "the shop's id of a product"),
        Column("title", "string", "the product's name as shown", nullable=True, max_length=1_000),
        Column("description", "string", "the product's text as shown", nullable=True, max_length=20_000),
        Column("category", "string", "path from broad to narrow, parted by '/'", nullable=True, max_length=1_000),
        Column("brand", "string", "the maker's name", nullable=True),
        Column("price_cents", "int64", "list price at the window's end", unit="cents"),
        Column("available_from", "timestamp", "when the product could first be bought", unit="UTC"),
        Column("image_path", "string", "where the product's picture lies", nullable=True, max_length=2_000),
        Column(
            "attributes",
            "string",
            'further attributes, a JSON object: {"colour": "red", "weight": 450}',
            nullable=True,
            max_length=20_000,
        ),
    ),
)
EVENTS = Table(
    "events",
    ("event_id",),
    (
        Column("event_id", "string", "unique id of the event"),
        Column("user_id", "string", "who", personal=True),
        Column("item_id", "string", "which product"),
        Column("occurred_at", "timestamp", "when", unit="UTC"),
        Column("kind", "string", "one of " + ", ".join(EVENT_KINDS)),
        Column("session_id", "string", "the visit it belongs to", nullable=True, personal=True),
        Column("position", "int64", "place on the page, from 1", unit="rank", nullable=True),
        Column("surface", "string", "where it was shown: home, search, category …", nullable=True),
        Column(
            "query",
            "string",
            "what was searched for, on the search surface",
            nullable=True,
            personal=True,
            max_length=500,
        ),
        Column("price_cents", "int64", "unit price asked at that moment", unit="cents", nullable=True),
        Column("quantity", "int64", "units bought; 1 for other kinds", unit="pieces", nullable=True),
    ),
    day_of="occurred_at",
)
PRICES = Table(
    "prices",
    ("item_id", "day"),
    (
        Column("item_id", "string", "which product"),
        Column("day", "date", "UTC day"),
        Column("price_cents", "int64", "price asked that day", unit="cents"),
        Column("is_promoted", "bool", "whether a promotion ran that day"),
    ),
    day_of="day",
)
SEARCHES = Table(
    "searches",
    ("query", "item_id"),
    (
        Column("query", "string", "what was searched for", personal=True, max_length=500),
        Column("item_id", "string", "which product was judged"),
        Column("relevance", "int64", "0 irrelevant … 3 exact", unit="grade"),
    ),
)
CONVERSATIONS = Table(
    "conversations",
    ("message_id",),
    (
        Column("message_id", "string", "unique id of the message"),
        Column("message", "string", "what the customer wrote", personal=True, max_length=10_000),
        Column("intent", "string", "what they wanted; `out_of_scope` where it is nothing the shop handles"),
        Column("reply", "string", "what the shop answered", nullable=True, personal=True, max_length=10_000),
    ),
)

TABLES = {t.name: t for t in (USERS, ITEMS, EVENTS, PRICES, SEARCHES, CONVERSATIONS)}
REQUIRED = ("users", "items", "events")
"""Tables without which there is nothing to learn from; the others are each needed by the tasks that name them."""
