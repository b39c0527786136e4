"""A small shop's tables, made by hand: sound as they stand, so that a test can spoil one thing at a time."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from triad.tables import write_table

AS_OF = date(2026, 3, 1)
WINDOW_DAYS = 21
_UTC = pa.timestamp("us", tz="UTC")
_DAY = 86_400_000_000

Tables = dict[str, dict[str, np.ndarray]]


def times(values: np.ndarray) -> pa.Array:
    """µs since the epoch as UTC times."""
    return pa.array(values.astype(np.int64)).cast(_UTC)


def make_shop_log(seed: int = 0, users: int = 200, items: int = 40, shown_a_day: int = 400) -> Tables:
    """Columns of users, items, events and prices as arrays; times in µs, days as numpy days."""
    rng = np.random.default_rng(seed)
    first = np.datetime64(AS_OF - timedelta(days=WINDOW_DAYS), "us").astype(np.int64)
    user_id, item_id = np.array([f"u{i}" for i in range(users)]), np.array([f"i{i}" for i in range(items)])
    price = rng.integers(200, 20_000, items)
    n = shown_a_day * WINDOW_DAYS
    who, what = rng.integers(0, users, n), rng.integers(0, items, n)
    when = first + np.repeat(np.arange(WINDOW_DAYS), shown_a_day) * _DAY + rng.integers(0, 23 * 3600, n) * 1_000_000
    position, surface = rng.integers(1, 11, n), rng.choice(["home", "search", "category"], n)
    clicked = rng.random(n) < 0.4 / np.sqrt(position)
    carted = clicked & (rng.random(n) < 0.4)
    bought = carted & (rng.random(n) < 0.5)
    chains = [
        (np.ones(n, bool), "impression", 0),
        (clicked, "click", 30),
        (carted, "cart", 60),
        (bought, "purchase", 90),
    ]
    rows = np.concatenate([np.flatnonzero(mask) for mask, _, _ in chains])
    kind = np.concatenate([np.full(mask.sum(), name) for mask, name, _ in chains])
    later = np.concatenate([np.full(mask.sum(), seconds * 1_000_000) for mask, _, seconds in chains])
    days = np.datetime64(AS_OF - timedelta(days=WINDOW_DAYS), "D") + np.arange(WINDOW_DAYS)
    return {
        "users": {
            "user_id": user_id,
            "signed_up_at": np.full(users, first - 30 * _DAY),
            "country": rng.choice(["de", "fr", "at"], users),
        },
        "items": {
            "item_id": item_id,
            "title": np.array([f"Thing {i}" for i in range(items)], object),
            "category": rng.choice(["home/lamps", "home/chairs", "garden/tools"], items),
            "brand": rng.choice(["Anker", "Brook"], items),
            "price_cents": price,
            "available_from": np.full(items, first - 60 * _DAY),
        },
        "events": {
            "event_id": np.array([f"e{i}" for i in range(len(rows))]),
            "user_id": user_id[who[rows]],
            "item_id": item_id[what[rows]],
            "occurred_at": when[rows] + later,
            "kind": kind.astype(object),
            "session_id": np.array([f"s{row}" for row in rows]),
            "position": position[rows],
            "surface": surface[rows],
            "price_cents": price[what[rows]],
            "quantity": np.ones(len(rows), int),
        },
        "prices": {
            "item_id": np.repeat(item_id, WINDOW_DAYS),
            "day": np.tile(days, items),
            "price_cents": np.repeat(price, WINDOW_DAYS),
            "is_promoted": np.zeros(items * WINDOW_DAYS, bool),
        },
    }


def write_shop_log(folder: Path, tables: Tables) -> None:
    """The tables as a source leaves them."""
    for name, columns in tables.items():
        timed = {
            k: times(v) if k in ("signed_up_at", "available_from", "occurred_at") else v for k, v in columns.items()
        }
        write_table(folder, name, pa.table(timed))
