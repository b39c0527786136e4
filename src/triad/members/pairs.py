"""Which items the same users take: how often two occur together, and the largest of such numbers.

Pairs are counted a piece of the catalogue at a time: a grocer's customers take hundreds of products each, so that
nearly all pairs of products occur.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, vstack

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.members.history import LONGEST

PAIRS = 1 << 22
"""Pairs of items that are counted at once: memory follows a piece, and not the log."""


def whole_users(data: Dataset) -> Iterator[tuple[Ints, slice]]:
    """The interactions of `data`, some `PAIRS` at a time: (n,) user of each, and where they stand in the streams."""
    offsets = np.asarray(data.streams.offsets)
    for users in pieces(np.diff(offsets)):
        bounds = offsets[users.start : users.stop + 1]
        yield np.repeat(np.arange(users.start, users.stop), np.diff(bounds)), slice(bounds[0], bounds[-1])


def train_steps(data: Dataset) -> tuple[Ints, Ints]:
    """(n,) user and item of the train interactions, the last `LONGEST` of each user, by user, then by time."""
    streams = data.streams
    used = np.asarray(streams.split) == 0
    user = np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))[used]
    late = np.searchsorted(user, user, side="right") - np.arange(len(user)) <= LONGEST
    return user[late], np.asarray(streams.item)[used][late]


def taken_by(data: Dataset) -> csr_array:
    """(n_users, n_items) 1 where one of the user's `train_steps` took the item."""
    user, item = train_steps(data)
    shape = (len(data.streams.offsets) - 1, len(data.items.item_id))
    taken = csr_array((np.ones(len(item), np.float32), (user, item)), shape=shape)
    taken.sum_duplicates()
    taken.data[:] = 1
    return taken


def item_neighbours(data: Dataset, *, neighbours: int, shrink: float) -> csr_array:
    """(n_items, n_items) shrunk cosine of two items' sets of train users, the largest `neighbours` of each row kept."""
    return shrunk_cosine(taken_by(data), neighbours=neighbours, shrink=shrink)


def shrunk_cosine(taken: csr_array, *, neighbours: int, shrink: float) -> csr_array:
    """(m, m) how alike two columns of (n, m) `taken`, of zeros and ones, are; the largest `neighbours` of a row kept.

    c_ij / (sqrt(c_i c_j) + shrink), c counting rows (Sarwar et al. 2001, doi:10.1145/371920.372071, with the
    shrinkage of Bell and Koren 2007, doi:10.1109/ICDM.2007.90): few common users are no evidence.
    """
    takers = taken.T.tocsr()
    count, parts = np.diff(takers.indptr), []
    for piece in pieces(takers @ np.diff(taken.indptr)):
        together = (takers[piece] @ taken).tocsr()
        row = np.repeat(np.arange(piece.start, piece.stop), np.diff(together.indptr))
        together.data /= np.sqrt(count[row] * count[together.indices]) + shrink
        together.data[row == together.indices] = 0  # an item's own share is the source "again"
        parts.append(largest(together, neighbours))
    return csr_array(vstack(parts))


def pieces(pairs: Ints) -> Iterator[slice]:
    """Rows in their order, about `PAIRS` of their `pairs` (n,) at a time; at least one piece, and a row is whole."""
    ends = np.unique(np.searchsorted(np.cumsum(pairs), np.arange(PAIRS, pairs.sum(), PAIRS), side="right"))
    bounds = [0, *ends[(ends > 0) & (ends < len(pairs))].tolist(), len(pairs)]
    return (slice(start, stop) for start, stop in pairwise(bounds))


def largest(matrix: csr_array, keep: int) -> csr_array:
    """The largest `keep` positive values of each row."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    wide = np.diff(matrix.indptr)[row] > keep  # the rows that must be sorted: few of a large catalogue
    value, at, column = matrix.data[wide], row[wide], matrix.indices[wide]
    order = np.lexsort((column, -value, at))
    first = np.searchsorted(at, at)  # where its row begins
    kept = np.flatnonzero(wide)[order[np.arange(len(order)) - first < keep]]
    stays = ~wide
    stays[kept] = True
    stays &= matrix.data > 0
    return csr_array((matrix.data[stays], (row[stays], matrix.indices[stays])), shape=matrix.shape)


def keep_largest(weights: Floats, keep: int) -> csr_array:
    """The largest `keep` positive weights of each row of a dense (n, m) matrix."""
    keep = min(keep, weights.shape[1])
    parts = []
    for start in range(0, len(weights), 1024):
        part = weights[start : start + 1024]
        column = np.argpartition(-part, keep - 1, axis=1)[:, :keep]
        value = np.take_along_axis(part, column, axis=1)
        row, place = np.nonzero(value > 0)
        parts.append(csr_array((value[row, place], (row, column[row, place])), shape=part.shape))
    return csr_array(vstack(parts))


def nearness(own: csr_array, weights: csr_array, state: Ints, target: Ints, powers: Sequence[float]) -> Floats:
    """(powers, n) share of each `target` among what is near to its `state`; NaN where nothing is.

    Args:
        own: (s, n_items) weight of each item in each state.
        weights: (n_items, n_items) from an item taken to an item near to it.
        state: (n,) each target's row of `own`.
        powers: of the sums of weights, before those of a state are made to sum to 1.
    """
    shares = np.full((len(powers), len(target)), np.nan)
    taken = csr_array((np.ones(own.nnz, np.int64), own.indices, own.indptr), shape=own.shape)
    for piece in pieces(np.maximum(taken @ np.diff(weights.indptr), weights.shape[1])):  # a piece may be dense
        near = (own[piece] @ weights).tocsr()
        asked = np.flatnonzero((state >= piece.start) & (state < piece.stop))
        asked = asked[np.diff(near.indptr)[state[asked] - piece.start] > 0]
        row = state[asked] - piece.start
        picked = near.toarray()[row, target[asked]]
        for place, power in enumerate(powers):
            raised = csr_array((near.data**power, near.indices, near.indptr), shape=near.shape)
            total = np.asarray(raised.sum(axis=1)).ravel()[row]
            shares[place, asked] = picked**power * (1 / np.where(total > 0, total, 1))
    return shares
