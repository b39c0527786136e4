"""Similarity of items by their attributes, for items with few interactions."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array, hstack, vstack

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.members.pairs import keep_largest


def attribute_cosine(data: Dataset, *, neighbours: int) -> csr_array:
    """(n_items, n_items) cosine of items' category, brand and title rows, rare ones counting more (by log n / count).

    The largest `neighbours` of each row are kept.
    """
    items = data.items
    parts = [_indicators(np.asarray(rows)) for rows in (items.category, items.brand[:, None], items.tokens)]
    has = csr_array(hstack(parts))
    count = np.bincount(has.indices, minlength=has.shape[1])
    weighed = csr_array(has @ diags_array(np.log(has.shape[0] / np.maximum(count, 1))), dtype=np.float32)
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    unit = csr_array(diags_array(1 / np.maximum(length, 1e-12)) @ weighed)
    kept = []
    for start in range(0, has.shape[0], 512):
        alike = (unit[start : start + 512] @ unit.T).toarray()
        np.fill_diagonal(alike[:, start:], 0)
        kept.append(keep_largest(alike, neighbours))
    return csr_array(vstack(kept))


def _indicators(rows: Ints) -> csr_array:
    """(n_items, vocabulary) 1 where an item has a row; row 0 is none."""
    item, place = np.nonzero(rows > 0)
    shape = (len(rows), int(rows.max(initial=0)) + 1)
    matrix = csr_array((np.ones(len(item)), (item, rows[item, place])), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
