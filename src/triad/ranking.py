"""The rank of each target among the whole catalogue, and the value of that rank."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from triad.arrays import Floats, Ints
from triad.errors import TriadError

FEW = 16
"""Targets of a query up to which comparing each with the whole list costs less than sorting the list."""


def target_ranks(scores: Floats, query: Ints, target: Ints) -> Ints:
    """(t,) place of each target in its query's list, from 1, ties resolved against the model.

    Args:
        scores: (q, n_items); the whole catalogue is ranked.
        query: (t,) row of `scores`, ascending.
        target: (t,) item, each once a query.
    """
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise TriadError(f"{bad} scores are no finite numbers", where="lists", mend="find the member that gives them")
    own = scores[query, target]
    bounds = np.flatnonzero(np.diff(query, prepend=-1, append=-1))
    place = np.zeros(len(query), np.int64)
    for first, last in pairwise(bounds):
        place[first:last] = _at_least(scores[query[first]], own[first:last])
    return without_ties(place, query)


def without_ties(place: Ints, query: Ints) -> Ints:
    """(t,) of places `place` at the end of equals: of tied targets of a query the first takes the best, and so on."""
    order = np.lexsort((place, query))
    q, r = query[order], place[order]
    tied = np.r_[False, (q[1:] == q[:-1]) & (r[1:] == r[:-1])] if len(q) else np.zeros(0, bool)
    start = np.flatnonzero(~tied)
    size = np.diff(np.r_[start, len(q)])
    nth = np.arange(len(q)) - np.repeat(start, size)
    places = np.empty_like(place)
    places[order] = r - np.repeat(size, size) + 1 + nth
    return places


def _at_least(row: Floats, own: Floats) -> Ints:
    """(t,) how many values of a `row` reach each of `own`; sorted once where a huge basket asks."""
    if len(own) <= FEW:
        return np.array([np.count_nonzero(row >= value) for value in own], np.int64)
    return len(row) - np.searchsorted(np.sort(row), own)


def ndcg(scores: Floats, query: Ints, target: Ints, k: int) -> Floats:
    """(q,) NDCG@k of each query's list under `scores` (q, width); arguments as `target_ranks`."""
    return ndcg_of(target_ranks(scores, query, target), query, len(scores), k)


def ndcg_of(ranks: Ints, query: Ints, queries: int, k: int) -> Floats:
    """(queries,) from `target_ranks`; 0 where a query has no target."""
    gain = np.bincount(query, (ranks <= k) / np.log2(ranks + 1), minlength=queries)
    targets = np.bincount(query, minlength=queries)
    return gain / np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(targets, k) - 1]


def ranking_values(ranks: Ints, query: Ints, queries: int, k: int) -> Floats:
    """(queries, 4) ndcg, hit, recall at `k` and mrr of each query, from `target_ranks`; every query has a target."""
    seen = ranks <= k
    targets = np.bincount(query, minlength=queries)
    hits = np.bincount(query, seen, minlength=queries)
    first = np.full(queries, np.inf)
    np.minimum.at(first, query, ranks)
    return np.stack([ndcg_of(ranks, query, queries, k), hits > 0, hits / targets, 1 / first], axis=1)
