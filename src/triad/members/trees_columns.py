"""The input table of the member `trees`: the user's history, the item, and the match of both.

Everything of the user comes from interactions strictly before the exposure. How often an item was taken over all of
train is left out on purpose: in train rows it would hold the row's own label. `context` has it as of the day before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.history import DAY, States, item_weights, look_back
from triad.members.neighbours import profile_vectors
from triad.schema import EVENT_KINDS
from triad.tasks.base import Part

RECENT, HALF_LIFE_DAYS, CATEGORIES = 100, 14.0, 12


@dataclass(frozen=True)
class Basis:
    """What the table is spelled in, fixed when the member is fitted."""

    axes: Floats  # (dim, components) directions that part items most
    categories: tuple[int, ...]  # rows of the broad categories whose shares are columns
    price: Floats  # (1 + narrow categories,) mean log price by row, 0 for all items; NaN where a row has none


@dataclass(frozen=True)
class Column:
    """One column of the table. `values` are (n,)."""

    name: str
    part: Part
    values: Floats | Ints


def fit_basis(data: Dataset, vectors: Floats, components: int) -> Basis:
    """Principal axes of the items' unit vectors, and the broad categories most taken in train."""
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    axes = axes[:components]
    axes *= np.where(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[
        :, None
    ]  # SVD leaves signs free
    train = np.asarray(data.streams.split) == 0
    broad = np.asarray(data.items.category)[:, :1].ravel()
    if not len(broad):
        return Basis(axes.T.astype(np.float32), (), _category_prices(data))
    count = np.bincount(broad[np.asarray(data.streams.item)[train]])
    most = np.argsort(-count, kind="stable")[:CATEGORIES]
    categories = tuple(int(row) for row in most if count[row])
    return Basis(axes.T.astype(np.float32), categories, _category_prices(data))


def table(data: Dataset, rows: Ints, vectors: Floats, basis: Basis) -> list[Column]:
    """The columns of exposure `rows`.

    Args:
        vectors: (n_items, dim) unit vectors in catalogue rows.
    """
    exposures = data.exposures
    user, item = np.asarray(exposures.user)[rows], np.asarray(exposures.item)[rows]
    time = np.asarray(exposures.time)[rows]
    states = look_back(data, user, np.asarray(exposures.history)[rows], recent=RECENT, half_life_days=HALF_LIFE_DAYS)
    taste = profile_vectors(item_weights(data, states), vectors)
    relative = _relative_price(data, basis.price)
    columns = _user(data, states, taste, relative, basis)
    columns = [Column(c.name, c.part, c.values[states.inverse]) for c in columns]
    columns += _user_at(data, states, user, time)
    columns += _item(data, item, relative)
    columns += _pair(data, states, item, relative)
    context = np.asarray(exposures.context)[rows]
    columns += [Column(name, "context", context[:, i]) for i, name in enumerate(data.meta.context)]
    return columns


def _user(data: Dataset, states: States, taste: Floats, relative: Floats, basis: Basis) -> list[Column]:
    """Columns that depend on the state alone, one row a state."""
    item, event = np.asarray(data.streams.item)[states.step], np.asarray(data.streams.kind)[states.step]
    empty = np.diff(states.start) == 0
    price = np.asarray(data.items.log_price, np.float64)[item]
    level, spread = states.total(price), np.sqrt(np.maximum(states.total(price**2) - states.total(price) ** 2, 0))
    columns = [Column(f"taste_{i}", "taste", values) for i, values in enumerate((taste @ basis.axes).T)]
    columns += [Column("price_level", "user", level), Column("price_spread", "user", spread)]
    columns += [Column("relative_price_level", "user", states.total(relative[item]))]
    bought = EVENT_KINDS.index("purchase")
    share = np.maximum(states.total(event == bought), 1e-9)
    columns += [Column("bought_relative_price", "user", states.total((event == bought) * relative[item]) / share)]
    columns += [Column(f"{name}_share", "user", states.total(event == k)) for k, name in enumerate(EVENT_KINDS) if k]
    broad = np.asarray(data.items.category)[:, :1].ravel()
    columns += [Column(f"category_{row}_share", "user", states.total(broad[item] == row)) for row in basis.categories]
    variety = np.diff(item_weights(data, states).indptr) / np.maximum(np.diff(states.start), 1)
    columns += [Column("variety", "user", variety)]
    columns = [Column(c.name, c.part, np.where(empty, np.nan, c.values)) for c in columns]
    attributes = np.asarray(data.users.attributes)[states.user]
    columns += [Column(f"attribute_{i}", "user", codes) for i, codes in enumerate(attributes.T)]
    return [*columns, Column("steps", "user", np.log1p(states.history))]


def _user_at(data: Dataset, states: States, user: Ints, time: Ints) -> list[Column]:
    """Columns of the user that move with the clock."""
    offsets = np.asarray(data.streams.offsets)
    done = states.history[states.inverse]
    times = np.asarray(data.streams.time)
    last = times[np.maximum(offsets[user] + done - 1, 0)] if len(times) else np.zeros(len(user), np.int64)
    first = times[np.minimum(offsets[user], len(times) - 1)] if len(times) else last
    hours = np.where(done > 0, (time - last) / (DAY / 24), np.nan)
    active = np.where(done > 0, (time - first) / DAY, np.nan)
    return [
        Column("hours_since_step", "user", np.log1p(np.maximum(hours, 0))),
        Column("steps_a_day", "user", done / np.maximum(active, 1.0)),
    ]


def _item(data: Dataset, item: Ints, relative: Floats) -> list[Column]:
    items = data.items
    columns = [Column("list_price", "item", np.asarray(items.log_price)[item])]
    columns += [Column("relative_price", "item", relative[item])]
    for level, codes in enumerate(np.asarray(items.category)[item].T):
        columns.append(Column(f"category_{'broad' if level == 0 else level}", "item", codes))
    return [*columns, Column("brand", "item", np.asarray(items.brand)[item])]


def _pair(data: Dataset, states: States, item: Ints, relative: Floats) -> list[Column]:
    """How the candidate compares with what the user took."""
    seen, at = np.asarray(data.streams.item)[states.step], states.inverse
    price = np.asarray(data.items.log_price, np.float64)
    columns = [
        Column("price_over_level", "pair", price[item] - states.total(price[seen])[at]),
        Column("relative_price_over_level", "pair", relative[item] - states.total(relative[seen])[at]),
        Column("same_item", "pair", _share_of(states, seen, item, at)),
    ]
    for level, codes in enumerate(np.asarray(data.items.category).T):
        columns.append(Column(f"same_category_{level}", "pair", _share_of(states, codes[seen], codes[item], at)))
    brand = np.asarray(data.items.brand)
    columns.append(Column("same_brand", "pair", _share_of(states, brand[seen], brand[item], at)))
    empty = np.diff(states.start)[at] == 0
    return [Column(c.name, c.part, np.where(empty, np.nan, c.values)) for c in columns]


def _share_of(states: States, seen: Ints, own: Ints, at: Ints) -> Floats:
    """(n,) weight in each row's state of the steps whose code is the row's own."""
    if not len(seen):
        return np.zeros(len(own))
    size = int(max(seen.max(), own.max())) + 1
    keys, inverse = np.unique(states.owner * size + seen, return_inverse=True)
    weight = np.bincount(inverse, states.weight)
    wanted = at * size + own
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, weight[place], 0.0)


def _narrow(data: Dataset) -> Ints:
    category = np.asarray(data.items.category)
    return category[:, -1] if category.shape[1] else np.zeros(len(category), np.int64)


def _category_prices(data: Dataset) -> Floats:
    price, row = np.asarray(data.items.log_price, np.float64), 1 + _narrow(data)
    count = np.bincount(row)
    total = np.bincount(row, price)
    return np.r_[price.mean(), np.where(count > 0, total / np.maximum(count, 1), np.nan)[1:]]


def _relative_price(data: Dataset, usual: Floats) -> Floats:
    """(n_items,) log price less what was usual in the item's narrowest category, or at all where that one is new."""
    row = 1 + _narrow(data)
    level = usual[np.where(row < len(usual), row, 0)]
    return np.asarray(data.items.log_price, np.float64) - np.where(np.isnan(level), usual[0], level)
