"""The test window's rows and queries, and one model's scores of them. It uses no paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Bools, Floats, Ints
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.members.chances import opened
from triad.members.protocol import Retriever

_CELLS = 1 << 23  # scores of (query, item) held at once


@dataclass(frozen=True)
class Window:
    """The exposures (n) and ranking queries (q) of one split; users and items as clusters 0 … of the bootstrap."""

    rows: Ints  # (n,) exposure rows
    user: Ints  # (n,) cluster
    item: Ints  # (n,) cluster
    users: int
    items: int
    queries: Ints  # (q,) query rows
    query_user: Ints  # (q,) cluster
    query: Ints  # (t,) which of the queries each target belongs to, ascending
    target: Ints  # (t,) catalogue rows, each once a query
    first_step: Ints  # (q,) interactions of the query's user before the split began
    beside: Mapping[str, Ints] = field(default_factory=dict)  # rows of each further unit

    def of(self, unit: str) -> Ints:
        """The rows of `unit`."""
        return self.rows if unit == "exposures" else self.beside[unit]

    def cluster(self, data: Dataset, unit: str, of: str) -> Ints:
        """(n,) cluster of each row of `unit`, by its array `of`; users and items are those of the fields above."""
        if unit == "exposures":
            cluster: Ints = getattr(self, of)
            return cluster
        return np.unique(np.asarray(getattr(data.units[unit], of))[self.beside[unit]], return_inverse=True)[1]

    def slices(self, data: Dataset, unit: str) -> list[tuple[Slice, Bools]]:
        """The parts of a further unit's rows that mean something, as the unit says them."""
        parts = [] if unit == "exposures" else UNITS[unit].slices(data, self.beside[unit])
        nowhere = np.zeros(0, bool)
        return [(Slice(group, name, rows, nowhere), rows) for group, name, rows in parts]


@dataclass(frozen=True)
class Scored:
    """A model's answers: `tasks` as `Member.predict` over the rows of their units, `ranks` (t,) the targets' places."""

    tasks: dict[str, Floats] = field(default_factory=dict)
    ranks: Ints | None = None


def window(data: Dataset, split: str, max_queries: int, seed: int) -> Window:
    """The rows of `split`, and its queries; of more than `max_queries` a random sample, the same for the same seed."""
    rows, queries = data.rows(split), data.rows(split, "lists")
    if len(queries) > max_queries:
        queries = np.sort(np.random.default_rng(seed).choice(queries, max_queries, replace=False))
    row_user = np.asarray(data.exposures.user)[rows]
    query_user = np.asarray(data.lists.user)[queries]
    users, user = np.unique(np.r_[row_user, query_user], return_inverse=True)
    items, item = np.unique(np.asarray(data.exposures.item)[rows], return_inverse=True)
    offsets = np.asarray(data.lists.offsets)
    counts = offsets[queries + 1] - offsets[queries]
    query = np.repeat(np.arange(len(queries)), counts)
    place = offsets[queries][query] + np.arange(len(query)) - np.r_[0, np.cumsum(counts)][query]
    begin = data.meta.windows[split][0]
    earlier = np.r_[0, np.cumsum(np.asarray(data.streams.time) < begin)]
    steps = np.asarray(data.streams.offsets)
    return Window(
        rows=rows,
        user=user[: len(rows)],
        item=item,
        users=len(users),
        items=len(items),
        queries=queries,
        query_user=user[len(rows) :],
        query=query,
        target=np.asarray(data.lists.target)[place],
        first_step=earlier[steps[query_user + 1]] - earlier[steps[query_user]],
        beside={unit: data.rows(split, unit) for unit in data.meta.tasks if unit != "exposures"},
    )


def ranking_blocks(data: Dataset, window: Window, models: int = 1) -> Iterator[tuple[slice, Ints, Ints]]:
    """Queries some at a time, so that `models` lists of each fit in memory: (their slice, query in it, target)."""
    step = max(1, _CELLS // (models * max(len(data.items.item_id), 1)))
    for start in range(0, len(window.queries), step):
        first, last = np.searchsorted(window.query, [start, start + step])
        yield slice(start, start + step), window.query[first:last] - start, window.target[first:last]


def rank_targets(model: Retriever, data: Dataset, window: Window) -> Ints:
    """(t,) place of each target among all items, for `Scored.ranks`."""
    asked = (np.asarray(each)[window.queries] for each in (data.lists.user, data.lists.history, data.lists.time))
    ranks: list[Ints] = [np.zeros(0, np.int64)]
    blocks = opened(model, data, *asked)
    for part, query, target in ranking_blocks(data, window):
        ranks.append(blocks(part).ranks(query, target))
    return np.concatenate(ranks)


@dataclass(frozen=True)
class Slice:
    """A part of the window: exposures where `rows`, and queries where `queries`."""

    group: str
    name: str
    rows: Bools  # (n,)
    queries: Bools  # (q,)


def slices(
    data: Dataset,
    window: Window,
    category: NDArray[Any],
    surface: NDArray[Any] | None = None,
    market: NDArray[Any] | None = None,
    *,
    cold_market: float = 0.0,
    largest: int = 12,
) -> list[Slice]:
    """New and known users, new and known items, the `largest` categories, markets and surfaces and the rest.

    A query belongs to the slice of one of its targets, the first in catalogue order.

    Args:
        category: (n_items,) top-level category names.
        surface: (n,) names of where the exposure was shown; None where the source does not say.
        market: (n_users,) names of the users' markets, "" where not known; None where the source does not say.
        cold_market: share of the train exposures below which a market is cold.
    """
    exposures = data.exposures
    first = window.target[np.searchsorted(window.query, np.arange(len(window.queries)))]
    fresh, cold = np.asarray(exposures.is_new_user)[window.rows], np.asarray(exposures.is_cold_item)[window.rows]
    cold_item = _cold_items(data)[first]
    nowhere = np.zeros(len(window.queries), bool)
    parts = [
        Slice("users", "new users", fresh, window.first_step == 0),
        Slice("users", "known users", ~fresh, window.first_step > 0),
        Slice("items", "cold items", cold, cold_item),
        Slice("items", "known items", ~cold, ~cold_item),
    ]
    parts += _largest("category", category[np.asarray(exposures.item)[window.rows]], category[first], largest)
    if market is not None and len(np.unique(market)) > 1:
        of_row, of_query = market[np.asarray(exposures.user)], market[np.asarray(data.lists.user)[window.queries]]
        names, count = np.unique(of_row[data.rows("train")], return_counts=True)
        warm = names[count >= cold_market * count.sum()]
        of_row = of_row[window.rows]
        cold, cold_query = ~np.isin(of_row, warm), ~np.isin(of_query, warm)
        if cold.any() or cold_query.any():
            parts.append(Slice("market", "cold markets", cold, cold_query))
        parts += _largest("market", of_row, of_query, largest)
    if surface is not None and len(np.unique(surface)) > 1:
        kept = sorted(_most(surface, largest))
        parts += [Slice("surface", str(name), surface == name, nowhere) for name in kept]
        if (rest := ~np.isin(surface, kept)).any():
            parts.append(Slice("surface", "all others", rest, nowhere))
    return parts


def _largest(group: str, of_row: NDArray[Any], of_query: NDArray[Any], largest: int) -> list[Slice]:
    """A slice for each of the names that most rows have, and one for the rest."""
    kept = _most(of_row, largest)
    parts = [Slice(group, str(name) or "not named", of_row == name, of_query == name) for name in kept]
    if (rest := ~np.isin(of_row, kept)).any():
        parts.append(Slice(group, "all others", rest, ~np.isin(of_query, kept)))
    return parts


def _most(names: NDArray[Any], largest: int) -> NDArray[Any]:
    """The `largest` names that most rows have, of equals the first by name."""
    unique, count = np.unique(names, return_counts=True)
    return unique[np.argsort(-count, kind="stable")][:largest]


def _cold_items(data: Dataset) -> Bools:
    """(n_items,) items with too few train interactions: as their exposures say it, or with none at all."""
    in_train = np.asarray(data.streams.item)[np.asarray(data.streams.split) == 0]
    cold = np.bincount(in_train, minlength=len(data.items.item_id)) == 0
    cold[np.asarray(data.exposures.item)] = np.asarray(data.exposures.is_cold_item)
    return cold
