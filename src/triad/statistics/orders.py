"""What an order of graded rows is worth, cluster by cluster: a query's products, put in order by their scores.

Rows that tie share their places, as if in every order in turn (McSherry and Najork 2008): who scores all rows alike
gets what chance would, and not what the order of a file would.
"""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats, Ints
from triad.statistics.bootstrap import Draws, Estimate


def ndcg(scores: Floats, grades: Floats, query: Ints, queries: int, k: int) -> Floats:
    """(queries,) NDCG@k with a gain of 2^grade - 1; NaN where a query has nothing of a grade above 0.

    Args:
        scores, grades, query: (n,); queries are numbered from 0.
    """
    gain = np.maximum(np.exp2(grades) - 1, 0)
    best = _gained(gain, gain, query, queries, k)
    return np.divide(_gained(scores, gain, query, queries, k), best, out=np.full(queries, np.nan), where=best > 0)


def best_first(scores: Floats, grades: Floats, query: Ints, queries: int) -> Floats:
    """(queries,) chance that the first row has the query's highest grade; NaN where that is none above 0."""
    highest = np.zeros(queries)
    np.maximum.at(highest, query, grades)
    share = _gained(scores, np.asarray(grades >= highest[query], np.float64), query, queries, 1)
    return np.where(highest > 0, share, np.nan)


def measure(scores: Floats, grades: Floats, cluster: Ints, draws: Draws, k: int) -> dict[str, Estimate]:
    """Means of both over the clusters that hold a grade above 0."""
    clusters = draws.multiplicity.shape[1]
    columns = ndcg(scores, grades, cluster, clusters, k), best_first(scores, grades, cluster, clusters)
    known = np.flatnonzero(np.isfinite(columns[0]))
    table = np.stack([*(column[known] for column in columns), np.ones(len(known))], axis=1)
    *sums, count = draws.totals(known, table).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return dict(zip(("graded_ndcg", "best_first"), (np.asarray(total / count) for total in sums), strict=True))


def _gained(scores: Floats, gain: Floats, query: Ints, queries: int, k: int) -> Floats:
    """(queries,) Σ over the first k places of gain / log2(place + 1), ties at their mean."""
    order = np.lexsort((-scores, query))
    query, gain, scores = query[order], gain[order], scores[order]
    place = np.arange(len(order)) - np.searchsorted(query, query) + 1
    new = np.r_[True, (query[1:] != query[:-1]) | (scores[1:] != scores[:-1])] if len(order) else np.zeros(0, bool)
    tie = np.cumsum(new) - 1
    mean = (np.bincount(tie, gain) / np.bincount(tie))[tie] if len(order) else gain
    gained = np.where(place <= k, mean / np.log2(place + 1), 0.0)
    return np.bincount(query, gained, minlength=queries).astype(np.float64)
