"""The best items of every user: blocks of users side by side, so that memory does not grow with the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from triad.arrays import Bools, Ints
from triad.fusion.candidates import Queries
from triad.fusion.ranker import Ranker
from triad.members.chances import Chances
from triad.progress import Progress
from triad.threads import side_by_side
from triad.tracking import recommending
from triad.tracking.recommending import Pairs
from triad.tracking.shelf import Shelf

CELLS, ROWS = 8_000_000, 512
"""(user, item) cells, and users, of a block at most: what is said of its candidates fits the processor's cache."""
USERS = 16_384
"""Users whose states are computed at once; those of the users before are still held then."""
Opened = Callable[[slice], Mapping[str, Chances]]


def retrieve_all(
    ranker: Ranker, moment: int, order: Ints, count: int, shelf: Shelf, *, among: range | None = None
) -> Pairs:
    """The `count` best items of `shelf` for each user at `moment` (µs); of equals, the first in `order`.

    Args:
        among: the users that are asked for; None: all.
    """
    offsets = np.asarray(ranker.data.streams.offsets)
    history = np.diff(offsets)
    every = range(len(history)) if among is None else among
    step = max(1, min(CELLS // max(len(order), 1), ROWS))
    blocks: list[Pairs] = []
    # each block keeps to one thread
    with Progress("retrieve", len(every), "users") as progress, threadpool_limits(1, "blas"):
        for first in range(every.start, every.stop, USERS):
            users = np.arange(first, min(first + USERS, every.stop))
            queries = Queries(users, history[users], np.full(len(users), moment))
            opened = ranker.open(queries, ranker.needed)

            def block(part: slice, queries: Queries = queries, opened: Opened = opened) -> Pairs:
                asked = queries[part]
                mask = shelf.allows(asked.users)
                pairs = best(ranker, asked, opened(part), mask, order=order, count=count)
                progress.advance(len(mask))
                return replace(pairs, user=asked.users[pairs.user])

            blocks += side_by_side(block, [slice(start, start + step) for start in range(0, len(users), step)])
    return Pairs.joined(blocks)


def best(
    ranker: Ranker, queries: Queries, chances: Mapping[str, Chances], mask: Bools, *, order: Ints, count: int
) -> Pairs:
    """The `count` best items of each query where `mask` (q, n_items) holds; `user` is the place in `queries`.

    The items that a re-ranker puts first are nearly always enough. Whole lists cost far more.
    """
    parts, rest = list[Pairs](), np.arange(len(queries))
    if ranker.reranker is not None and (first := ranker.first(queries, chances)) is not None:
        query, item = first.candidates.query, first.candidates.item
        may = mask[query, item]
        enough = np.bincount(query[may], minlength=len(queries)) >= count
        rows = np.flatnonzero(may & enough[query])
        pairs = Pairs(query[rows], item[rows], first.among[rows])
        place = recommending.places(pairs, order, count)[0]
        parts.append(replace(pairs[place], ground=ranker.reranker.grounds(first.columns[rows[place]])))
        rest = np.flatnonzero(~enough)
    if len(rest):
        scores = ranker.mix(queries, chances)[rest]
        row, item = recommending.retrieve(scores, mask[rest], order, count)
        parts.append(Pairs(rest[row], item, scores[row, item]))
    kept = Pairs.joined(parts)
    return kept[np.argsort(kept.user, kind="stable")]
