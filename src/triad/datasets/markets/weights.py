"""Item-item weights and popularity of each market and of all, on the items of one: what its members are made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array, diags_array

from triad.arrays import Floats
from triad.datasets.markets.features import LEAN, market_of, neighbours, ridge_weights, taken_in
from triad.examples.dataset import Dataset

RIDGE, RIDGE_OF_ALL = 100.0, 400.0
OWN = 3.0
"""Times that a user of the target counts where a regression shall heed the target more than the others."""


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
    }
    counts = {name: np.asarray(rows.sum(axis=0)) + 1 for name, rows in [*of_market.items(), ("all", users)]}
    return weights, {f"popularity {name}": count / count.sum() for name, count in counts.items()}
