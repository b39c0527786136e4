"""Item-item weights and popularity of each market and of all, on the items of one: what its members are made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array, diags_array
from sklearn.utils.extmath import randomized_svd

from triad.arrays import Floats
from triad.datasets.markets.features import LEAN, market_of, neighbours, ridge_weights, taken_in
from triad.examples.dataset import Dataset

RIDGE, RIDGE_OF_ALL = 100.0, 400.0
OWN = 3.0
"""Times that a user of the target counts where a regression shall heed the target more than the others."""
RANKS = (32, 128, 512)
"""Of the factors of all markets. Few say which kind of item goes with which, where no user took both; many, which."""


def market_weights(markets: Mapping[str, Dataset], joined: Dataset, target: str) -> tuple[dict[str, Floats], ...]:
    """Name → (n, n) weights from an item taken to an item scored; name → (n,) shares. n are the target's items.

    Of other markets, steps on the target's items count alone.

    Args:
        joined: `together` of the same markets and target.
    """
    size = len(markets[target].items.item_id)  # the target's items come first
    users, market = taken_in(joined, size), market_of(joined, markets, target)
    of_market = {name: users[np.flatnonzero(market == name)] for name in markets}
    own = np.sqrt(np.where(market == target, OWN, 1)).astype(np.float32)
    weights = {f"cosine {name}": neighbours(rows, LEAN) for name, rows in of_market.items()} | {
        "cosine all": neighbours(users, LEAN),
        "cosine": neighbours(users, 0.5),
        f"ease {target}": ridge_weights(of_market[target], RIDGE, np.float32),
        "ease all": ridge_weights(users, RIDGE_OF_ALL, np.float32),
        f"ease {target} and all": ridge_weights(csr_array(diags_array(own) @ users), RIDGE_OF_ALL, np.float32),
        **factor_weights(users),
    }
    counts = {name: np.asarray(rows.sum(axis=0)) + 1 for name, rows in [*of_market.items(), ("all", users)]}
    return weights, {f"popularity {name}": count / count.sum() for name, count in counts.items()}


def factor_weights(users: csr_array) -> dict[str, Floats]:
    """Name → (n, n) weights by the singular vectors V of D_u^-½ X D_i^-½, for each of `RANKS`; nothing to itself.

    `projected` is D_i^-½ V Vᵀ D_i^½, the low-pass filter of GF-CF (Shen et al. 2021, doi:10.1145/3459637.3482264);
    `alike` is the cosine of two items' vectors VΣ.

    Args:
        users: (n_users, n) 1 where a user took an item.
    """
    length, count = (np.maximum(users.sum(axis=axis), 1).astype(np.float64) for axis in (1, 0))
    normal = csr_array(diags_array(length**-0.5) @ users @ diags_array(count**-0.5))
    _, value, right = randomized_svd(normal, min(max(RANKS), *users.shape), n_iter=3, random_state=0)
    weights: dict[str, Floats] = {}
    for rank in RANKS:
        vectors = right[:rank].T
        scaled = vectors * value[:rank]
        scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
        weights[f"factors {rank} projected"] = count[:, None] ** -0.5 * (vectors @ vectors.T) * count**0.5
        weights[f"factors {rank} alike"] = scaled @ scaled.T
    for each in weights.values():
        np.fill_diagonal(each, 0)
    return {name: each.astype(np.float32) for name, each in weights.items()}
