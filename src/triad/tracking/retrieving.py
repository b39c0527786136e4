"""The best items of a share of the users: blocks side by side, so that memory does not grow with the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from triad.arrays import Bools, Ints
from triad.fusion.candidates import Queries
from triad.fusion.ranker import Ranker
from triad.members.chances import Chances
from triad.threads import side_by_side
from triad.tracking import recommending
from triad.tracking.recommending import Pairs
from triad.tracking.shelf import Shelf

CELLS, ROWS = 16_000_000, 512
"""(user, item) cells, and users, of a block at most: what is said of its candidates fits the processor's cache."""
SHARE = 16_384
"""Users of a share: half a minute's work. Their states are computed at once."""


def shares(users: int) -> list[range]:
    """All of them, in their order."""
    return [range(first, min(first + SHARE, users)) for first in range(0, users, SHARE)]


def retrieve(ranker: Ranker, moment: int, order: Ints, count: int, shelf: Shelf, *, share: range) -> Pairs:
    """The `count` best items of `shelf` for each user of `share` at `moment` (µs); of equals, the first in `order`."""
    users = np.arange(share.start, share.stop)
    history = np.diff(np.asarray(ranker.data.streams.offsets)[share.start : share.stop + 1])
    queries = Queries(users, history, np.full(len(users), moment))
    step = max(1, min(CELLS // max(len(order), 1), ROWS))

    def block(part: slice) -> Pairs:
        asked = queries[part]
        pairs = best(ranker, asked, opened(part), shelf.allows(asked.users), order=order, count=count)
        return replace(pairs, user=asked.users[pairs.user])

    with threadpool_limits(1, "blas"):  # each block keeps to one thread
        opened = ranker.open(queries, ranker.needed)
        return Pairs.joined(side_by_side(block, [slice(start, start + step) for start in range(0, len(users), step)]))


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
