"""What the tests of the fusion share: vectors with signal, another night's catalogue, a shop of pure chance."""

from dataclasses import replace

import numpy as np
from make_dataset import make_dataset

from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS
from triad.texts import Texts

TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move"),
    "next": TaskParams(kind="ranking", label="next_item"),
}


def make_vectors(data: Dataset, seed: int = 0) -> np.ndarray:
    """(n_items, 8) vectors in which a category's items lie together."""
    random = np.random.default_rng(seed)
    broad = data.items.category[:, 0]
    return (random.normal(size=(broad.max() + 1, 8))[broad] + 0.3 * random.normal(size=(len(broad), 8))).astype("f4")


def other_night(data: Dataset, *, order: np.ndarray, unknown: int = 0) -> Dataset:
    """The same shop with its items in another order, and `unknown` items that no member knows put first."""
    first = data.items
    rows = np.r_[np.zeros(unknown, int), order]
    items = replace(first, **{name: getattr(first, name)[rows] for name in first.__dataclass_fields__})
    items = replace(items, item_id=Texts.of([*(f"new{i}" for i in range(unknown)), *items.item_id[unknown:]]))
    to = np.empty(len(order), int)
    to[order] = np.arange(unknown, unknown + len(order))
    return data.replaced(
        items=items,
        streams=replace(data.streams, item=to[data.streams.item]),
        exposures=replace(data.exposures, item=to[data.exposures.item]),
        lists=replace(data.lists, target=to[data.lists.target]),
    )


def with_other_future(data: Dataset, rows: np.ndarray) -> Dataset:
    """The same shop, in which everything that `rows` must not see has happened otherwise."""
    keep = np.zeros(len(data.users.user_id), int)
    np.maximum.at(keep, data.exposures.user[rows], data.exposures.history[rows])
    owner = np.repeat(np.arange(len(keep)), np.diff(data.streams.offsets))
    future = np.arange(len(owner)) - data.streams.offsets[owner] >= keep[owner]
    assert future.any()
    item = np.where(future, (data.streams.item + 7) % len(data.items.item_id), data.streams.item)
    labels = np.where(np.isnan(data.exposures.labels), 0.0, 1 - data.exposures.labels)
    return data.replaced(
        streams=replace(data.streams, item=item), exposures=replace(data.exposures, labels=labels.astype("f4"))
    )


def make_chance(users: int = 150, pages: int = 60, items: int = 30, seed: int = 0) -> Dataset:
    """A shop in which a click says nothing of any other."""
    random = np.random.default_rng(seed)
    data = make_dataset(10, items, seed)
    item = random.integers(items, size=(users, pages))
    clicked = random.random((users, pages)) < 0.15
    day = np.linspace(0, 29.9, pages)
    time = np.broadcast_to((data.meta.windows["train"][0] + day * 86_400_000_000).astype(np.int64), item.shape)
    split = np.broadcast_to(np.searchsorted([16, 20, 25], day, side="right"), item.shape)
    history = np.cumsum(clicked, axis=1) - clicked
    user = np.broadcast_to(np.arange(users)[:, None], item.shape)
    count = users * pages
    zeros, empty = np.zeros(count, int), np.zeros(0, int)
    labels = np.stack([clicked.ravel(), zeros, zeros, zeros], axis=1).astype("f4")
    return data.replaced(
        users=replace(
            data.users,
            user_id=Texts.of(f"u{i:04d}" for i in range(users)),
            attributes=np.zeros((users, 2), int),
            signed_up_at=np.zeros(users, int),
            fold=np.zeros(users, int),
        ),
        streams=replace(
            data.streams,
            offsets=np.r_[0, clicked.sum(axis=1).cumsum()],
            item=item[clicked],
            kind=np.ones(clicked.sum(), int),
            time=time[clicked] + 1,
            split=split[clicked],
        ),
        exposures=replace(
            data.exposures,
            event_id=Texts.of(np.arange(count).astype(str)),
            user=user.ravel(),
            item=item.ravel(),
            time=time.ravel(),
            split=split.ravel(),
            history=history.ravel(),
            context=random.normal(size=(count, 4)).astype("f4"),
            labels=labels,
            is_new_user=zeros > 0,
            is_cold_item=zeros > 0,
        ),
        lists=Lists(empty, empty, empty, empty, np.zeros(1, int), empty),
    )


def rows_of(data: Dataset, *splits: str) -> np.ndarray:
    return np.flatnonzero(np.isin(data.exposures.split, [SPLITS.index(split) for split in splits]))
