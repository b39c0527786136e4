"""Features of a candidate: items taken together with it, and its popularity, for each market."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array

from triad.arrays import Floats, Ints
from triad.datasets.markets.lists import Candidates
from triad.examples.dataset import Dataset

LEAN = 0.7
"""How much of the normalisation falls on what the user took: 0.5 is the cosine, above it popular candidates gain."""

RIDGE = 300.0


def list_features(joined: Dataset, markets: Mapping[str, Dataset], target: str, lists: Candidates) -> dict[str, Floats]:
    """Name → (q, width). Of other markets, steps on the target's items count alone.

    Args:
        joined: `markets_joined.together` of the same markets and target.
    """
    size = len(markets[target].items.item_id)  # the target's items come first
    users, market = taken_in(joined, size), market_of(joined, markets, target)
    history = _before(joined, lists, size)
    at = np.arange(len(lists.query))[:, None], lists.item
    features: dict[str, Floats] = {"steps": np.repeat(history.sum(axis=1)[:, None], lists.item.shape[1], axis=1)}
    for name in ("all", *markets):
        rows = users if name == "all" else users[np.flatnonzero(market == name)]
        features[f"popularity {name}"] = np.log1p(rows.sum(axis=0))[lists.item]
        features[f"neighbours {name}"] = (history @ neighbours(rows, LEAN))[at]
    for name in ("all", target):
        rows = users if name == "all" else users[np.flatnonzero(market == name)]
        features[f"ease {name}"] = (history @ ridge_weights(rows, RIDGE))[at]
        near = neighbours(rows, 0.5)
        features[f"closest {name}"] = np.stack(
            [near[_row(history, q)][:, items].max(axis=0, initial=0) for q, items in enumerate(lists.item)]
        )
        features[f"twice {name}"] = (history @ near @ near)[at]
    return features


def neighbours(users: csr_array, lean: float) -> Floats:
    """(n_items, n_items) similarity of the row's item to the column's; nothing to itself.

    Σ_u 1/√|u| over users of both, by |i|^lean |j|^(1 − lean), counting users (Deshpande & Karypis 2004, section 4.2.2:
    who takes much says little of two items).
    """
    length, count = (np.maximum(users.sum(axis=axis), 1) for axis in (1, 0))
    shared = (users.T @ (diags_array(length**-0.5) @ users)).toarray()
    np.fill_diagonal(shared, 0)
    near: Floats = shared / count[:, None] ** lean / count ** (1 - lean)
    return near.astype(np.float32)


def ridge_weights(users: csr_array, ridge: float, precision: type[np.floating] = np.float64) -> Floats:
    """(n_items, n_items) EASE (Steck 2019): B = I − P · diag(P)⁻¹ with P = (XᵀX + λI)⁻¹."""
    gram = (users.T @ users).toarray().astype(precision)
    gram[np.diag_indices(len(gram))] += ridge
    inverse = cho_solve(cho_factor(gram, overwrite_a=True), np.eye(len(gram), dtype=precision), overwrite_b=True)
    weights: Floats = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


def taken_in(joined: Dataset, size: int) -> csr_array:
    """(n_users, size) 1 where a user took one of the first `size` items in train."""
    streams = joined.streams
    user = np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))
    used = (streams.split == 0) & (streams.item < size)
    shape = len(joined.users.user_id), size
    return csr_array((np.ones(used.sum(), np.float32), (user[used], streams.item[used])), shape=shape)


def _before(joined: Dataset, lists: Candidates, size: int) -> csr_array:
    """(q, size) what each query's user took before it, held-out steps of earlier splits among it."""
    queries, streams = joined.lists, joined.streams
    count = queries.history[lists.query].astype(np.int64)
    first = streams.offsets[queries.user[lists.query]]
    row = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return csr_array((np.ones(len(row), np.float32), (row, streams.item[place])), shape=(len(count), size))


def market_of(joined: Dataset, markets: Mapping[str, Dataset], target: str) -> np.ndarray:
    """(n_users,) the market of each; the target's own come first."""
    parts = [(name, len(data.users.user_id)) for name, data in markets.items()]
    parts.sort(key=lambda part: part[0] != target)  # it keeps the order of the others
    return np.repeat([name for name, _ in parts], [count for _, count in parts])


def _row(matrix: csr_array, row: int) -> Ints:
    columns: Ints = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
    return columns
