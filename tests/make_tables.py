"""A small random shop as Arrow tables: what features are built from, with every table, kind of event and edge in it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000
START, END = date(2026, 1, 1), date(2026, 1, 31)
ZERO = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
KINDS = ("impression", "click", "cart", "purchase")


def make_tables(
    users: int = 60, items: int = 30, shown: int = 4000, days: int = 30, seed: int = 0, *, impressions: bool = True
) -> dict[str, pa.Table]:
    """`shown` impressions (left out of the log where `impressions` is False) and what follows from some of them."""
    random = np.random.default_rng(seed)
    user, item = random.integers(users, size=shown), (items * random.random(shown) ** 2).astype(int)
    day = random.integers(days, size=shown)
    time = ZERO + day * DAY + random.integers(DAY // 1_000_000, size=shown) * 1_000_000
    position = random.integers(1, 9, size=shown)
    price = (
        1000 * np.exp(random.normal(0, 0.5, items)[:, None] + np.cumsum(random.normal(0, 0.03, (items, days)), 1))
    ).astype(int)
    like = 1 / (1 + np.exp(1.5 - 2.5 * ((user + item) % 3 == 0) + 0.2 * position))
    clicked = random.random(shown) < like
    carted = clicked & (random.random(shown) < 0.6)
    purchased = carted & (random.random(shown) < 0.7)
    rows: dict[str, list] = {
        name: []
        for name in (
            "event_id",
            "user_id",
            "item_id",
            "occurred_at",
            "kind",
            "session_id",
            "position",
            "surface",
            "query",
            "price_cents",
            "quantity",
        )
    }
    for place, (kind, happened, later) in enumerate(
        zip(KINDS, (np.full(shown, impressions), clicked, carted, purchased), (0, 20, 50, 90), strict=True)
    ):
        at = np.flatnonzero(happened)
        seen = place == 0
        rows["event_id"] += [f"e{n}-{place}" for n in at]
        rows["user_id"] += [f"u{n:04d}" for n in user[at]]
        rows["item_id"] += [f"i{n:04d}" for n in item[at]]
        rows["occurred_at"] += (time[at] + later * 1_000_000).tolist()
        rows["kind"] += [kind] * len(at)
        rows["session_id"] += [f"s{u}-{d}" for u, d in zip(user[at], day[at], strict=True)]
        rows["position"] += [int(p) if seen else None for p in position[at]]
        rows["surface"] += [("home", "search", "category")[n % 3] for n in at]
        rows["query"] += [
            f"B{u % 4} thing" if n % 3 == 1 and n % 2 else None for n, u in zip(at, user[at], strict=True)
        ]
        rows["price_cents"] += price[item[at], day[at]].tolist()
        rows["quantity"] += [1] * len(at)
    moment = pa.timestamp("us", tz="UTC")
    events = pa.table({**rows, "occurred_at": pa.array(rows["occurred_at"], moment)})
    return {
        "users": pa.table(
            {
                "user_id": [f"u{n:04d}" for n in range(users)],
                "signed_up_at": pa.array([ZERO - (n % 40) * DAY for n in range(users)], moment),
                "segment": [("bargain", "loyal", "rare")[n % 3] for n in range(users)],
                "country": [("DE", "FR", None)[n % 3] for n in range(users)],
            }
        ),
        "items": pa.table(
            {
                "item_id": [f"i{n:04d}" for n in range(items)],
                "title": [f"Blue thing No {n % 5}" for n in range(items)],
                "category": [None if n == 7 else f"c{n % 3}/d{n % 6}/e{n}" for n in range(items)],
                "brand": [None if n == 8 else f"b{n % 4}" for n in range(items)],
                "price_cents": price[:, -1],
                "available_from": pa.array([ZERO - (n % 9) * DAY for n in range(items)], moment),
            }
        ),
        "events": events,
        "prices": pa.table(
            {
                "item_id": np.repeat([f"i{n:04d}" for n in range(items)], days),
                "day": pa.array(np.tile(ZERO // DAY + np.arange(days), items).astype(np.int32), pa.int32()).cast(
                    pa.date32()
                ),
                "price_cents": price.ravel(),
                "is_promoted": (np.arange(items)[:, None] + np.arange(days)[None, :] // 4).ravel() % 5 == 0,
            }
        ),
    }
