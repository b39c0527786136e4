"""What the units of examples have in common: the catalogue, the users, their streams, and what the arrays mean.

Rows of `items` and `users` are *catalogue rows* of this window's tables; an item's embedding rows
(`vocabulary_row` …) live apart from them, so that ids keep their weights from night to night.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.features import ITEM_VOCABULARIES
from triad.texts import Texts

SPLITS = ("train", "validation", "fusion", "test")
"""In time order. A row's `split` is the place in this tuple; -1 is left out (its labels reach beyond its split)."""


@dataclass(frozen=True)
class Items:
    """(n_items,) unless said otherwise."""

    item_id: Texts
    vocabulary_row: Ints  # embedding row of the id: 0 padding, 1..hash_buckets shared, then one an id
    category: Ints  # (n_items, levels) row of each path prefix, broad to narrow
    brand: Ints
    tokens: Ints  # (n_items, title_tokens) rows of title words, 0-padded
    log_price: Floats  # log1p of the first price known, in cents: a later one would tell of price moves
    available_from: Ints  # µs since the epoch, UTC
    text_vector: Floats  # (n_items, width) a frozen encoder's, zeros where there is no text; width 0: none is read
    image_vector: Floats  # likewise of pictures


VECTORS = {"text": "text_vector", "image": "image_vector"}
"""What items may have vectors of, and the array that holds them."""


def without_vectors(count: int) -> dict[str, Floats]:
    """The arrays of `VECTORS` of `count` items where nothing reads any."""
    return {name: np.zeros((count, 0), np.float16) for name in VECTORS.values()}


@dataclass(frozen=True)
class Users:
    """(n_users,) unless said otherwise."""

    user_id: Texts
    attributes: Ints  # (n_users, n_attributes) row in each attribute's own vocabulary, 0 unknown
    signed_up_at: Ints  # µs
    fold: Ints  # split whose rows may show this user's own labels (user_attribute): no user is fitted and tested on


@dataclass(frozen=True)
class Streams:
    """Every interaction (no impressions), by user, then by time. User u's lie in [offsets[u], offsets[u + 1])."""

    offsets: Ints  # (n_users + 1,)
    item: Ints  # (n,) catalogue row
    kind: Ints  # (n,) place in schema.EVENT_KINDS, 1 click … 3 purchase
    time: Ints  # (n,) µs
    split: Ints  # (n,) the split whose days hold it; never -1


@dataclass(frozen=True)
class Meta:
    """What the arrays mean."""

    tasks: dict[str, tuple[str, ...]]  # unit → its tasks, the columns of its labels
    classes: dict[str, tuple[str, ...]]  # names of each multiclass task's classes
    context: tuple[str, ...]  # names of context features
    context_mean: tuple[float, ...]  # over train rows, NaN left out
    context_std: tuple[float, ...]  # likewise, 1 where constant
    vocabulary_rows: dict[str, int]  # rows of each embedding table: `ITEM_VOCABULARIES`, then each attribute
    target_kind: int  # kind of interaction that lists and pretraining predict
    windows: dict[str, tuple[int, int]]  # split → [first, last) in µs
    negatives_sampled: bool  # whether rows that were never shown stand for "not taken"
    oov_rate: float  # share of train interactions whose item has no own row
    shared_rows: int = 0  # of each item vocabulary, the first rows that ids without one of their own share
    item_vectors: dict[str, str] = field(default_factory=dict)  # of what → the fingerprint of its encoder

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the users' attributes, in the order of their columns."""
        return tuple(name for name in self.vocabulary_rows if name not in ITEM_VOCABULARIES)


def meta_to(meta: Meta) -> dict[str, Any]:
    """The meaning for JSON. Tables go as pairs: attributes are read by place, and objects are sorted by key there."""
    values = {f.name: getattr(meta, f.name) for f in fields(meta)}
    return values | {"vocabulary_rows": list(meta.vocabulary_rows.items())}


def meta_from(raw: dict[str, Any]) -> Meta:
    """The meaning as JSON gives it back, its lists tuples again."""
    raw = dict(raw)
    raw["vocabulary_rows"] = dict(raw["vocabulary_rows"])
    raw["classes"] = {task: tuple(names) for task, names in raw["classes"].items()}
    raw["windows"] = {split: tuple(span) for split, span in raw["windows"].items()}
    raw["tasks"] = {unit: tuple(names) for unit, names in raw["tasks"].items()}
    for name in ("context", "context_mean", "context_std"):
        raw[name] = tuple(raw[name])
    return Meta(**raw)
