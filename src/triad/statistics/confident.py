"""Which labels are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068)."""

from __future__ import annotations

import numpy as np

from triad.arrays import Bools, Floats, Ints


def doubtful(labels: Floats, scores: Floats) -> tuple[Bools, Ints]:
    """(n,) whether another class is surely meant, or, where the label is NaN, one is; and (n,) that class.

    A class is surely meant where its probability is at least the mean that rows labelled so get, and above the labelled
    class's own. The bar so follows how well a class is known; a class that no row has is never meant.

    Args:
        scores: (n, classes) probabilities of models that did not learn the row.
    """
    known = np.flatnonzero(np.isfinite(labels))
    place = labels[known].astype(int)
    own = scores[known, place]
    rows = np.bincount(place, minlength=scores.shape[1])
    bar = np.bincount(place, own, minlength=scores.shape[1]) / np.maximum(rows, 1)
    sure = np.where((scores >= bar) & (rows > 0), scores, 0.0)
    beaten = np.zeros(len(labels))
    beaten[known] = own
    return sure.max(axis=1) > beaten, sure.argmax(axis=1)
