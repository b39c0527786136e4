"""A ranking of the catalogue by items that the same users take.

It is a mixture of four sources of probability, each a distribution over the catalogue: what the user took
(again), its neighbours, what lies close to it in the pretrained space, and what is popular.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.config.similarity import SimilarityParams
from triad.examples.dataset import Dataset
from triad.members.chances import Chances, Dense, Shares, Sparse, added, bands
from triad.members.history import Look, States, item_weights, pick, search_look
from triad.members.nearest import Near, Nearest
from triad.members.pairs import nearness
from triad.statistics.weights import mixture_weights

POWERS = (0.5, 0.75, 1.0, 1.5)
SHARPNESS = (2.0, 4.0, 8.0, 12.0, 20.0)


@dataclass(frozen=True)
class Blend:
    """How the four sources become one distribution."""

    power: float  # of neighbour scores, before they are made to sum to 1
    sharpness: float  # of cosines, inside a softmax
    weight: tuple[float, ...]  # of each source, summing to 1


@dataclass(frozen=True)
class Space:
    """What ranking needs, in the catalogue rows of the dataset asked about."""

    neighbours: csr_array  # (n_items, n_items)
    vectors: Floats  # (n_items, dim) unit vectors
    share: Floats  # (n_items,)
    nearest: Nearest | None = None  # an index over `vectors`, where products with all of them cost too much

    @cached_property
    def across(self) -> Floats:
        """(dim, n_items) `vectors` as products with all of them read them soonest."""
        return np.ascontiguousarray(self.vectors.T)


def chances(data: Dataset, space: Space, shares: Shares, states: States, blend: Blend) -> Chances:
    """Of the next item after each of the rows that `states` were asked for.

    A state with no history, or whose items have no neighbours, has what is popular in that source's place.

    Args:
        shares: of the space's share.
    """
    weight = item_weights(data, states)
    near = to_power(weight @ space.neighbours, blend.power)
    a, n, c, p = blend.weight
    empty = [np.diff(each.indptr) == 0 for each in (weight, near, weight)]
    rest = p + np.stack(empty, axis=1) @ np.array([a, n, c])
    rows, rest, at = (a * weight + n * near)[states.inverse], rest[states.inverse], states.inverse
    if not c:
        return Sparse(rows, rest, shares)
    single = csr_array(weight, dtype=np.float32)  # of double precision, all vectors would be copied
    profile = np.float32(blend.sharpness) * profile_vectors(single, space.vectors)
    closeness, share = np.where(empty[2], 0, c)[at], space.share.astype(np.float32)

    def whole() -> Dense:
        close = profile[at] @ space.across
        for band in bands(*close.shape):
            part = close[band]
            np.exp(part, out=part)  # a cosine times its sharpness is far from what overflows
            np.multiply(part, (closeness[band, None] / part.sum(axis=1, keepdims=True)).astype(np.float32), out=part)
            np.add(part, rest[band, None].astype(np.float32) * share, out=part)
        return Dense(added(close, rows))

    if space.nearest is None:
        return whole()
    nothing = csr_array(rows.shape, dtype=np.float32)
    return Near(space.nearest, profile[at], nothing, closeness, Sparse(rows, rest, shares), whole)


@dataclass(frozen=True)
class Asked:
    """Queries, and the targets that followed. (q,) users and history; (t,) the rest."""

    users: Ints
    history: Ints
    query: Ints  # place of each target's query
    target: Ints  # items
    counts: Floats  # weight of each target: a query counts once, however many it has


def ask_validation(data: Dataset, max_queries: int, seed: int) -> Asked:
    """The validation queries, sampled where there are more than `max_queries`."""
    queries = data.rows("validation", "lists")
    if len(queries) > max_queries:
        queries = np.sort(np.random.default_rng(seed).choice(queries, max_queries, replace=False))
    offsets = np.asarray(data.lists.offsets)
    length = offsets[queries + 1] - offsets[queries]
    query = np.repeat(np.arange(len(queries)), length)
    start = np.cumsum(length) - length
    target = np.asarray(data.lists.target)[offsets[queries][query] + np.arange(len(query)) - start[query]]
    users, history = np.asarray(data.lists.user)[queries], np.asarray(data.lists.history)[queries]
    return Asked(users, history, query, target, 1.0 / length[query])


def best_look(data: Dataset, space: Space, params: SimilarityParams) -> Look:
    """The look with the least log loss on validation queries, by the sources that are sparse.

    The first where there are no such queries.
    """
    queries = ask_validation(data, params.max_queries, params.seed)
    if not len(queries.users):
        return Look(params.recent[0], params.half_life_days[0])
    popular = space.share[queries.target]

    def loss(look: Look) -> float:
        states = look.back(data, queries.users, queries.history)
        weight, state = item_weights(data, states), states.inverse[queries.query]
        again = pick(weight, state, queries.target)
        (near,) = nearness(weight, space.neighbours, state, queries.target, (1.0,))
        columns = np.stack([again, np.where(np.isnan(near), popular, near), popular], axis=1)
        mixed = columns @ mixture_weights(columns, queries.counts)
        return float(np.average(-np.log(np.maximum(mixed, 1e-12)), weights=queries.counts))

    return search_look(params.recent, params.half_life_days, loss)


def fit_blend(data: Dataset, space: Space, look: Look, *, max_queries: int, seed: int) -> Blend:
    """The blend with the least log loss on targets of validation queries; equal parts where there are none.

    Power and sharpness are tried on a grid; for each pair the weights' maximum likelihood is convex and solved by EM.
    Each query counts once, however many targets it has.
    """
    queries = ask_validation(data, max_queries, seed)
    if not len(queries.users):
        return Blend(1.0, 8.0, (0.25, 0.25, 0.25, 0.25))
    users, history, query, target = queries.users, queries.history, queries.query, queries.target

    by_column: dict[str, list[Floats]] = {}
    block = max(1, 8_000_000 // len(space.share))
    for first in range(0, len(users), block):
        part = slice(first, first + block)
        states = look.back(data, users[part], history[part])
        weight = item_weights(data, states)
        mine = (query >= first) & (query < first + block)
        at = states.inverse[query[mine] - first], target[mine]
        scores, cosine = weight @ space.neighbours, profile_vectors(weight, space.vectors) @ space.vectors.T
        by_column.setdefault("again", []).append(_filled(weight.toarray(), space.share)[at])
        for power in POWERS:
            near = _filled(to_power(scores, power).toarray(), space.share)[at]
            by_column.setdefault(f"neighbours {power}", []).append(near)
        for sharpness in SHARPNESS:
            by_column.setdefault(f"closeness {sharpness}", []).append(_softmax(sharpness * cosine)[at])
    likelihood = {name: np.concatenate(parts) for name, parts in by_column.items()}
    counts = queries.counts
    best, least = None, np.inf
    for power, sharpness in product(POWERS, SHARPNESS):
        names = ("again", f"neighbours {power}", f"closeness {sharpness}")
        columns = np.stack([*(likelihood[name] for name in names), space.share[target]], axis=1)
        weights = mixture_weights(columns, counts)
        loss = float(np.average(-np.log(columns @ weights), weights=counts))
        if loss < least:
            best, least = Blend(power, sharpness, tuple(float(w) for w in weights)), loss
    assert best is not None
    # a little of the popular always stays: nothing may be impossible
    floor = np.array([0, 0, 0, 0.001])
    weights = (np.array(best.weight) + floor) / (1 + floor.sum())
    return Blend(best.power, best.sharpness, tuple(float(w) for w in weights))


def profile_vectors(weight: csr_array, vectors: Floats) -> Floats:
    """(s, dim) unit vector of what each state's items have in common."""
    mean = weight @ vectors
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def to_power(matrix: csr_array, power: float) -> csr_array:
    """Rows of `matrix` to a power, then summing to 1."""
    raised = matrix.copy()
    raised.data = raised.data**power
    total = np.asarray(raised.sum(axis=1)).ravel()
    raised.data = raised.data * np.repeat(1 / np.where(total > 0, total, 1), np.diff(raised.indptr))
    return raised


def _filled(rows: Floats, share: Floats) -> Floats:
    """Empty rows replaced by what is popular."""
    rows[rows.sum(axis=1) == 0] = share
    return rows


def _softmax(logit: Floats) -> Floats:
    raised = np.exp(logit - logit.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
