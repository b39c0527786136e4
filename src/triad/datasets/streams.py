"""Examples that have only streams and queries: for forms that know who took what but have no exposures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.examples.lists import Lists
from triad.features.dataset import Items, Meta, Streams, Users, without_vectors
from triad.schema import EVENT_KINDS
from triad.texts import Texts

DAY = 86_400_000_000
"""µs. Where no times are known, a user's steps lie a day apart."""

LAST_DAY = 20_000
"""The day of each user's last step, counted from the epoch."""

KIND = EVENT_KINDS.index("purchase")


def of_streams(
    items: Items,
    users: Users,
    streams: Streams,
    lists: Lists,
    *,
    rows: Mapping[str, int],
    windows: Mapping[str, tuple[int, int]],
) -> Dataset:
    """The dataset without exposures and tasks.

    Args:
        rows: of the embedding tables of items and tokens.
    """
    meta = Meta(
        tasks={"exposures": ()},
        classes={},
        context=(),
        context_mean=(),
        context_std=(),
        vocabulary_rows={"item": rows["item"], "category": 1, "brand": 1, "token": rows.get("token", 1)},
        target_kind=KIND,
        windows=dict(windows),
        negatives_sampled=False,
        oov_rate=0.0,
    )
    none: dict[str, Any] = {name: np.zeros(0, np.int32) for name in ("user", "item", "split", "history")}
    exposures = Exposures(
        event_id=Texts.of([]),
        time=np.zeros(0, np.int64),
        context=np.zeros((0, 0), np.float32),
        labels=np.zeros((0, 0), np.float32),
        is_new_user=np.zeros(0, bool),
        is_cold_item=np.zeros(0, bool),
        **none,
    )
    return Dataset(items=items, users=users, streams=streams, units={"exposures": exposures, "lists": lists}, meta=meta)


def purchases(offsets: Ints, item: Ints, time: Ints, split: Ints) -> Streams:
    """Streams of one kind of step."""
    kind = np.full(len(item), KIND, np.int8)
    return Streams(offsets=offsets, item=item.astype(np.int32), kind=kind, time=time, split=split.astype(np.int8))


def items_of(item_id: Texts, row: Ints, tokens: Ints | None = None) -> Items:
    """Items of which nothing but the id is known, and, where given, (n, tokens)."""
    count = len(item_id)
    return Items(
        item_id=item_id,
        vocabulary_row=row.astype(np.int32),
        category=np.zeros((count, 1), np.int32),
        brand=np.zeros(count, np.int32),
        tokens=np.zeros((count, 1), np.int32) if tokens is None else tokens,
        log_price=np.zeros(count, np.float32),
        available_from=np.zeros(count, np.int64),
        **without_vectors(count),
    )


def users_of(user_id: Texts) -> Users:
    """Users of whom nothing but the id is known."""
    count = len(user_id)
    return Users(
        user_id=user_id,
        attributes=np.zeros((count, 0), np.int32),
        signed_up_at=np.zeros(count, np.int64),
        fold=np.zeros(count, np.int8),
    )
