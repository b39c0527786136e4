"""Products that are like another one, by the words said of both, and what was known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints

COUNT, SHARPNESS = 20, 10.0
"""How many are read, and how fast their weight e^(sharpness · cosine) falls."""
_AT_ONCE = 4_000_000  # cosines


@dataclass(frozen=True)
class Comparables:
    """(n, k) for n products, nearest first. One that shares no word with any has cosines of 0."""

    row: Ints  # of the known products
    cosine: Floats
    label: Floats

    @classmethod
    def of(cls, known: csr_array, label: Floats, asked: csr_array, own: Ints, count: int = COUNT) -> Comparables:
        """The nearest of `known` (m, columns).

        Args:
            label: (m,).
            asked: (n, columns).
            own: (n,) which known product each is itself, and which does not speak for it; -1 for none.
        """
        step, rows, cosines = max(1, _AT_ONCE // max(known.shape[0], 1)), [], []
        count, columns = min(count, known.shape[0] - 1), csr_array(known.T)
        for start in range(0, asked.shape[0], step):
            near = (asked[start : start + step] @ columns).toarray()
            itself = own[start : start + step]
            near[np.flatnonzero(itself >= 0), itself[itself >= 0]] = -1
            first = np.argpartition(-near, count - 1, axis=1)[:, :count]
            held = np.take_along_axis(near, first, axis=1)
            order = np.lexsort((first, -held), axis=1)
            rows.append(np.take_along_axis(first, order, axis=1))
            cosines.append(np.take_along_axis(held, order, axis=1))
        row = np.concatenate([np.zeros((0, count), np.int64), *rows])
        return cls(row, np.concatenate([np.zeros((0, count)), *cosines]), label[row])

    @property
    def mean(self) -> Floats:
        """(n,) of labels, by weight."""
        weight = np.exp(SHARPNESS * (self.cosine - self.cosine[:, :1]))
        return np.asarray((weight * self.label).sum(axis=1) / weight.sum(axis=1))

    @property
    def columns(self) -> Floats:
        """(n, 4) mean, median and spread of the nearest, and how near the first one is."""
        nearest = self.label[:, :5]
        return np.column_stack([self.mean, np.median(nearest, axis=1), nearest.std(axis=1), self.cosine[:, 0]])
