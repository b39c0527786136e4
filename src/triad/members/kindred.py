"""Item-item weights that an item shares with those of like attributes: for catalogues of which little was taken."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array, vstack

from triad.members.pairs import keep_largest

BLOCK = 512
"""Rows that are dense at once."""
SHARE = 0.5
"""What all that is like an item counts, beside the item itself."""


def lent(weights: csr_array, likeness: csr_array, *, neighbours: int) -> csr_array:
    """(n_items, n_items) (I + `SHARE` · L) W (I + `SHARE` · L), the largest `neighbours` of each row kept.

    What follows items like this one, and items like what follows: content smooths, on both sides, what was counted of
    few pairs.

    Args:
        weights: (n_items, n_items) W, none below 0, from an item taken to an item scored.
        likeness: (n_items, n_items) L is these, rows made to sum to 1.
    """
    size, single = weights.shape[0], np.float32
    total = np.asarray(likeness.sum(axis=1), np.float64)
    like = diags_array(SHARE / np.maximum(total, 1e-12)) @ likeness
    spread = csr_array(eye_array(size) + like, dtype=single)
    left = csr_array(spread @ csr_array(weights, dtype=single))
    kept = []
    for start in range(0, size, BLOCK):
        rows = (left[start : start + BLOCK] @ spread).toarray()
        np.fill_diagonal(rows[:, start:], 0)
        kept.append(keep_largest(rows, neighbours))
    return csr_array(vstack(kept))
