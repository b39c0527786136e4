"""Learned item-item weights: ridge regression of an item on the other items of a history, or on the earlier ones.

Both have a closed form, whose one large step is a Cholesky factor of an (n_items, n_items) matrix: some minutes and
1.2 GB for 12,000 items on one core, so `MAX_ITEMS` refuses catalogues that would not fit.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.pairs import keep_largest, taken_by, train_steps

MAX_ITEMS = 25_000


def ease(data: Dataset, *, ridge: float, neighbours: int) -> csr_array:
    """(n_items, n_items) EASE: the regression of each item on all others, its own weight held at 0.

    With P = (XᵀX + λI)⁻¹, X the users' sets of items, B = I − P · diag(P)⁻¹ (Steck 2019, arXiv:1905.03375, eq. 8).
    """
    size = _size(data)
    taken = taken_by(data)
    inverse = _solve((taken.T @ taken).toarray(), ridge, np.eye(size, dtype=np.float32))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return keep_largest(weights, neighbours)


def successors(
    data: Dataset, *, ridge: float, reach: int, past_decay: float, future_decay: float, neighbours: int
) -> csr_array:
    """(n_items, n_items) SLIT: the regression of what follows on what came before, at each step of each user.

    B = (SᵀS + λI)⁻¹ SᵀT; row t of S holds a user's items up to step t, that of T those after it, each weighted by
    decay^distance and seen `reach` steps far (Choi et al. 2021, arXiv:2103.16104, section 4.2).
    """
    user, item = train_steps(data)
    size, steps = _size(data), len(item)
    place = np.arange(steps)
    past, future = [], []  # (row, column, weight) of S and T; a row is a step that another one of the user follows
    for distance in range(min(reach, steps)):
        here = place[distance:][user[distance:] == user[: steps - distance]]
        past.append((here, item[here - distance], np.full(len(here), past_decay**distance)))
        here = place[: max(steps - distance - 1, 0)]
        here = here[user[here] == user[here + distance + 1]]
        future.append((here, item[here + distance + 1], np.full(len(here), future_decay**distance)))
    has_next = np.zeros(steps)
    has_next[future[0][0]] = 1
    s, t = (
        csr_array((np.concatenate([w for *_, w in parts]).astype(np.float32), _pair(parts)), shape=(steps, size))
        for parts in (past, future)
    )
    s = s.multiply(has_next.astype(np.float32)[:, None]).tocsr()
    weights = _solve((s.T @ s).toarray(), ridge, (s.T @ t).toarray())
    np.fill_diagonal(weights, 0)
    return keep_largest(weights, neighbours)


def _size(data: Dataset) -> int:
    size = len(data.items.item_id)
    if size > MAX_ITEMS:
        raise TriadError(
            f"{size:,} items, of {MAX_ITEMS:,} that a dense matrix is made for",
            where="similarity.linear",
            mend="use transitions in place of ease and successors",
        )
    return size


def _solve(gram: Floats, ridge: float, right: Floats) -> Floats:
    """(gram + ridge · I)⁻¹ right."""
    gram[np.diag_indices(len(gram))] += ridge
    solved: Floats = cho_solve(
        cho_factor(gram, lower=True, overwrite_a=True, check_finite=False), right, overwrite_b=True, check_finite=False
    )
    return solved


def _pair(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([row for row, *_ in parts]), np.concatenate([column for _, column, _ in parts])
