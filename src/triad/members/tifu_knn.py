"""What this customer takes again, and what customers of like histories take: TIFU-kNN, the next-basket rule.

A customer is a vector: the items taken, each visit counting by its age. The next item is one of their own, one of the
`neighbours` customers nearest by the cosine, or a popular one (Hu et al. 2020, doi:10.1145/3397271.3401066, with
cosines of shares in place of Euclidean distances of counts). A model keeps no customer: neighbours are the histories
of the dataset that is asked about, up to the end of train.

Every customer who shares an item with a query is compared with it, so a catalogue of few items for many customers is
slow: it is not among the default members.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, diags_array

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.similarity import SimilarityParams
from triad.examples.dataset import Dataset
from triad.members.bench import Bench
from triad.members.chances import Blocks, Shares, Sparse
from triad.members.history import Look, item_weights, pick, search_look
from triad.members.item_index import align_share
from triad.members.neighbours import Asked, ask_validation
from triad.members.popularity import item_shares
from triad.statistics.weights import mixture_weights
from triad.texts import Texts

MEMBERS = Recipe("tifu_knn", "TifuKnn", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members")
NEIGHBOURS = (50, 200, 800)
"""How many are tried."""
BLOCK = 512
"""Queries compared with all customers at once."""


@dataclass(frozen=True)
class TifuKnn:
    """Three numbers that mix own history, neighbours and what is popular, and how the first two are read."""

    item_id: Texts  # (known,) sorted
    share: Floats  # (known,)
    until: int  # µs: neighbours are histories before it
    neighbours: int
    weight: tuple[float, float, float]  # of own items, of neighbours', of the popular; they sum to 1
    look: Look

    @classmethod
    def make(cls, bench: Bench, name: str) -> TifuKnn:
        """Of the histories alone."""
        return cls.fit(bench.data, bench.params.similarity)

    @classmethod
    def fit(cls, data: Dataset, params: SimilarityParams) -> TifuKnn:
        """Look, neighbours and weights with the least log loss on validation queries; equal parts where there are none.

        The look is the best for own items, or everything; the weights are solved for by EM.
        """
        share, until = item_shares(data), data.meta.windows["train"][1]
        order = data.items.item_id.order()
        known = data.items.item_id[order], share[order], until
        queries = ask_validation(data, params.max_queries, params.seed)
        if not len(queries.users):
            third = (1 / 3, 1 / 3, 1 / 3)
            return cls(*known, NEIGHBOURS[0], third, Look(params.recent[0], params.half_life_days[0]))
        popular = share[queries.target]

        def mixed(*members: Floats) -> tuple[float, tuple[float, ...]]:
            columns = np.stack([*members, popular], axis=1)
            weight = mixture_weights(columns, queries.counts)
            chance = np.maximum(columns @ weight, 1e-12)
            return float(np.average(-np.log(chance), weights=queries.counts)), tuple(map(float, weight))

        def own(look: Look) -> Floats:
            states = look.back(data, queries.users, queries.history)
            return pick(item_weights(data, states), states.inverse[queries.query], queries.target)

        best = search_look(params.recent, params.half_life_days, lambda look: mixed(own(look))[0])
        everything = Look(max(params.recent), max(params.half_life_days))  # own items may say nothing, neighbours much
        tried = []
        for look in dict.fromkeys((best, everything)):
            again = own(look)
            for count, near in _near(data, _Customers.of(data, look, until), queries).items():
                tried.append((*mixed(again, near), count, look))
        _, weight, count, look = min(tried, key=lambda each: each[0])
        floor = np.array([0, 0, 1e-3])  # nothing may be impossible
        own_part, near_part, rest = ((np.array(weight) + floor) / (1 + floor.sum())).tolist()
        return cls(*known, count, (own_part, near_part, rest), look)

    def refit(self, bench: Bench, name: str) -> TifuKnn:
        """Neighbours and shares of all days; what was chosen stays."""
        data, order = bench.data, bench.data.items.item_id.order()
        share, until = item_shares(data)[order], data.meta.windows["train"][1]
        return replace(self, item_id=data.items.item_id[order], share=share, until=until)

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities of the next item."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """Customers and shares are arranged once."""
        shares = Shares.of(align_share(self.item_id.places(data.items.item_id), self.share))
        customers = _Customers.of(data, self.look, self.until)
        own, near, rest = self.weight

        def block(part: slice) -> Sparse:
            taken, alike = customers.alike(data, users[part], history[part])
            rows = csr_array(own * taken + near * customers.mean(nearest(alike, self.neighbours)))
            total = np.asarray(rows.sum(axis=1), np.float64)  # without a history, or without neighbours, it is less
            return Sparse(rows, np.maximum(1 - total, rest), shares)

        return block

    def save(self, folder: Path) -> None:
        """The ids, an array and a few numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self.item_id.save(folder / "item_id.arrow")
        np.save(folder / "share.npy", self.share, allow_pickle=False)
        numbers = {"until": self.until, "neighbours": self.neighbours, "weight": list(self.weight)}
        write_json(folder / "tifu_knn.json", numbers | asdict(self.look))

    @classmethod
    def load(cls, folder: Path) -> TifuKnn:
        """What `save` wrote."""
        numbers = read_json(folder / "tifu_knn.json")
        look, weight = Look.of(numbers), tuple(numbers.pop("weight"))
        share = np.load(folder / "share.npy", allow_pickle=False)
        return cls(Texts.load(folder / "item_id.arrow"), share, **numbers, weight=weight, look=look)


@dataclass(frozen=True)
class _Customers:
    """All histories up to a moment."""

    look: Look
    shares: csr_array  # (users, n_items) rows sum to 1, or to 0
    directions: csr_array  # (n_items, users) columns of length 1

    @classmethod
    def of(cls, data: Dataset, look: Look, until: int) -> _Customers:
        earlier = np.r_[0, np.cumsum(np.asarray(data.streams.time) < until)]
        offsets = np.asarray(data.streams.offsets)
        users = np.arange(len(offsets) - 1)
        shares = _taken(data, look, users, earlier[offsets[1:]] - earlier[offsets[:-1]])
        return cls(look, shares, csr_array(_unit(shares).T.tocsr()))

    def alike(self, data: Dataset, users: Ints, history: Ints) -> tuple[csr_array, csr_array]:
        """(q, n_items) shares of the queries, and (q, users) their cosine with everybody but themselves."""
        taken = _taken(data, self.look, users, history)
        cosine = csr_array(_unit(taken) @ self.directions)
        row = np.repeat(np.arange(len(users)), np.diff(cosine.indptr))
        cosine.data[cosine.indices == users[row]] = 0
        return taken, cosine

    def mean(self, nearest: csr_array) -> csr_array:
        """(q, n_items) the mean share of the customers `nearest` (q, users)."""
        count = np.maximum(np.diff(nearest.indptr), 1)
        return csr_array(diags_array((1 / count).astype(np.float32)) @ (nearest @ self.shares))


def _near(data: Dataset, customers: _Customers, queries: Asked) -> dict[int, Floats]:
    """How many neighbours → (t,) what they give to each target."""
    near: dict[int, list[Floats]] = {count: [] for count in NEIGHBOURS}
    for start in range(0, len(queries.users), BLOCK):
        part = slice(start, start + BLOCK)
        mine = (queries.query >= start) & (queries.query < start + BLOCK)
        _, alike = customers.alike(data, queries.users[part], queries.history[part])
        for count in NEIGHBOURS:
            rows = customers.mean(nearest(alike, count))
            near[count].append(pick(rows, queries.query[mine] - start, queries.target[mine]))
    return {count: np.concatenate(parts) for count, parts in near.items()}


def nearest(alike: csr_array, count: int) -> csr_array:
    """(q, users) 1 for the `count` customers of the largest positive value in each row."""
    kept, size = [], np.zeros(alike.shape[0], np.int64)
    for row in range(alike.shape[0]):
        mine = slice(alike.indptr[row], alike.indptr[row + 1])
        value, user = alike.data[mine], alike.indices[mine]
        if len(value) > count:
            best = np.argpartition(-value, count - 1)[:count]
            value, user = value[best], user[best]
        kept.append(np.sort(user[value > 0]))
        size[row] = len(kept[-1])
    users = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return csr_array((np.ones(len(users), np.float32), users, np.r_[0, np.cumsum(size)]), shape=alike.shape)


def _taken(data: Dataset, look: Look, users: Ints, history: Ints) -> csr_array:
    """(q, n_items) decayed share of each item in each history."""
    states = look.back(data, users, history)
    return csr_array(item_weights(data, states), dtype=np.float32)[states.inverse]


def _unit(rows: csr_array) -> csr_array:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), np.float64))
    return csr_array(diags_array((1 / np.maximum(length, 1e-12)).astype(np.float32)) @ rows)
