"""The arrays and texts that training, members and evaluation read, memory-mapped. It contains no paths and no SQL.

Rows of `items` and `users` are *catalogue rows* of this window's tables; an item's embedding rows
(`vocabulary_row` …) live apart from them, so that ids keep their weights from night to night.
`build.py` makes a `Dataset` from tables; nothing here does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triad import arrays
from triad.artifacts import read_json, write_json
from triad.texts import Texts

Ints = arrays.Ints
Floats = arrays.Floats
Bools = arrays.Bools

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


ITEM_VOCABULARIES = ("item", "category", "brand", "token")
"""Vocabularies of what items are; all others are user attributes."""


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
class Exposures:
    """What the models score, by user, then by time. (n,) unless said otherwise."""

    event_id: Texts
    user: Ints  # catalogue row
    item: Ints  # catalogue row
    time: Ints  # µs
    split: Ints
    history: Ints  # how many of the user's interactions happened strictly before `time`: the trunk's step to read
    context: Floats  # (n, n_context) raw values, NaN where unknown; names in Meta.context
    labels: Floats  # (n, n_pointwise_tasks) columns as Meta.tasks; NaN is missing and must be masked
    is_new_user: Bools  # no interaction before the exposure's split began
    is_cold_item: Bools  # fewer than min_count train interactions


@dataclass(frozen=True)
class Queries:
    """Ranking questions: from a user's state, what is interacted with next? Of the splits after train."""

    user: Ints  # (q,)
    history: Ints  # (q,) interactions strictly before, at least one
    time: Ints  # (q,) µs of the targets
    split: Ints  # (q,)
    offsets: Ints  # (q + 1,)
    target: Ints  # catalogue rows; query i's are target[offsets[i]:offsets[i + 1]], each once, ascending


@dataclass(frozen=True)
class Meta:
    """What the arrays mean."""

    tasks: tuple[str, ...]  # pointwise tasks, the columns of labels
    classes: dict[str, tuple[str, ...]]  # names of each multiclass task's classes
    context: tuple[str, ...]  # names of context features
    context_mean: tuple[float, ...]  # over train rows, NaN left out
    context_std: tuple[float, ...]  # likewise, 1 where constant
    vocabulary_rows: dict[str, int]  # rows of each embedding table: `ITEM_VOCABULARIES`, then each attribute
    target_kind: int  # kind of interaction that queries and pretraining predict
    windows: dict[str, tuple[int, int]]  # split → [first, last) in µs
    negatives_sampled: bool  # whether rows that were never shown stand for "not taken"
    oov_rate: float  # share of train interactions whose item has no own row

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the users' attributes, in the order of their columns."""
        return tuple(name for name in self.vocabulary_rows if name not in ITEM_VOCABULARIES)


@dataclass(frozen=True)
class Dataset:
    """One night's examples."""

    items: Items
    users: Users
    streams: Streams
    exposures: Exposures
    queries: Queries
    meta: Meta

    def rows(self, split: str) -> Ints:
        """Exposure rows of `split`, in order."""
        return np.flatnonzero(np.asarray(self.exposures.split) == SPLITS.index(split))

    def labels(self, task: str) -> Floats:
        """(n,) labels of a pointwise task, NaN where missing."""
        return self.exposures.labels[:, self.meta.tasks.index(task)]

    def query_rows(self, split: str) -> Ints:
        """Query rows of `split`, in order."""
        return np.flatnonzero(np.asarray(self.queries.split) == SPLITS.index(split))


def save(dataset: Dataset, folder: Path) -> None:
    """Write one .npy an array and one .arrow a column of texts under `folder/<part>/`, and `folder/meta.json`."""
    for part in fields(dataset):
        value = getattr(dataset, part.name)
        if part.name == "meta":
            write_json(folder / "meta.json", meta_to(value))
            continue
        (folder / part.name).mkdir(parents=True, exist_ok=True)
        for array in fields(value):
            held = getattr(value, array.name)
            if isinstance(held, Texts):
                held.save(folder / part.name / f"{array.name}.arrow")
            else:
                np.save(folder / part.name / f"{array.name}.npy", held, allow_pickle=False)


def load(folder: Path) -> Dataset:
    """The dataset in `folder`, its arrays memory-mapped and read-only."""
    parts: dict[str, Any] = {}
    for part, kind in (
        ("items", Items),
        ("users", Users),
        ("streams", Streams),
        ("exposures", Exposures),
        ("queries", Queries),
    ):
        assert is_dataclass(kind)
        parts[part] = kind(**{f.name: _read(folder / part, f.name, is_text=f.type == "Texts") for f in fields(kind)})
    return Dataset(**parts, meta=meta_from(read_json(folder / "meta.json")))


def meta_to(meta: Meta) -> dict[str, Any]:
    """The meaning for JSON. Tables go as pairs: attributes are read by place, and objects are sorted by key there."""
    found = {f.name: getattr(meta, f.name) for f in fields(meta)}
    return found | {"vocabulary_rows": list(meta.vocabulary_rows.items())}


def meta_from(raw: dict[str, Any]) -> Meta:
    """The meaning as JSON gives it back, its lists tuples again."""
    raw = dict(raw)
    raw["vocabulary_rows"] = dict(raw["vocabulary_rows"])
    raw["classes"] = {task: tuple(names) for task, names in raw["classes"].items()}
    raw["windows"] = {split: tuple(span) for split, span in raw["windows"].items()}
    for name in ("tasks", "context", "context_mean", "context_std"):
        raw[name] = tuple(raw[name])
    return Meta(**raw)


def _read(folder: Path, name: str, *, is_text: bool) -> Any:
    return Texts.load(folder / f"{name}.arrow") if is_text else _map(folder / f"{name}.npy")


def _map(path: Path) -> NDArray[Any]:
    # an empty array cannot be mapped
    header = np.load(path, mmap_mode=None, allow_pickle=False) if path.stat().st_size < 4096 else None
    return header if header is not None else np.load(path, mmap_mode="r", allow_pickle=False)
