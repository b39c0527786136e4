"""Random numbers keyed by seed, purpose and day, so a day's draws do not depend on other days."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

OPENING = (date(2025, 1, 1) - date(1970, 1, 1)).days
"""The day the shop opened. Days are counted from 1970-01-01."""

_PURPOSES = (
    *("shop", "customers", "products", "prices", "visits", "pages", "outcomes", "messages", "wants", "pictures"),
    *("attributes", "trends"),
)


def generator(seed: int, purpose: str, day: int = 0) -> np.random.Generator:
    """The stream of one purpose on one day."""
    return np.random.default_rng([seed, _PURPOSES.index(purpose), day])


def arrivals(
    seed: int, purpose: str, *, initial: int, daily: float, last: int, columns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Everyone who came up to day `last`, in order of coming.

    `initial` come on the opening day, then a Poisson number with mean `daily` each day. All that is to be known of one
    of them is a function of one row of uniforms, so nobody changes when later ones come.

    Returns:
        Day of arrival (n,) and uniforms in (0, 1), shape (n, columns).
    """
    days, rows = [], []
    for day in range(OPENING, last + 1):
        random = generator(seed, purpose, day)
        count = initial if day == OPENING else int(random.poisson(daily))
        rows.append(random.random((count, columns)))
        days.append(np.full(count, day, np.int64))
    return np.concatenate(days), np.clip(np.concatenate(rows), 1e-12, 1 - 1e-12)


def pick(uniform: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places drawn by `weights`: (..., k), broadcast against the uniforms' shape (...)."""
    edges = np.cumsum(weights, axis=-1)
    scaled = uniform * edges[..., -1]
    if edges.ndim == 1:
        return np.minimum(np.searchsorted(edges, scaled, side="right"), len(edges) - 1)
    return np.minimum((edges <= scaled[..., None]).sum(axis=-1), edges.shape[-1] - 1)


def lifetimes(uniform: NDArray[np.float64], mean: float) -> NDArray[np.int64]:
    """Whole days of exponential lifetimes."""
    return np.floor(-mean * np.log1p(-uniform)).astype(np.int64)
