"""Members whose scores are linear in the history: time-decayed interactions times item-item weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.similarity import LinearParams, SimilarityParams
from triad.examples.dataset import Dataset
from triad.members.attributes import attribute_cosine
from triad.members.bench import Bench
from triad.members.chances import Blocks, Shares, Sparse
from triad.members.ease import ease, successors
from triad.members.history import Look, item_weights, search_look
from triad.members.item_index import Aligning, align_share, align_weights
from triad.members.kindred import lent
from triad.members.neighbours import POWERS, ask_validation, to_power
from triad.members.pairs import nearness
from triad.members.popularity import item_shares
from triad.members.transitions import transitions
from triad.statistics.weights import mixture_weights
from triad.texts import Texts

WEIGHTS: dict[str, Callable[[Dataset, LinearParams], csr_array]] = {
    "transitions": lambda data, p: transitions(
        data, reach=p.reach, fade=p.fade, backward=p.backward, shrink=p.shrink, neighbours=p.neighbours
    ),
    "ease": lambda data, p: ease(data, ridge=p.ridge, neighbours=p.neighbours),
    "successors": lambda data, p: successors(
        data,
        ridge=p.ridge,
        reach=p.reach,
        past_decay=p.past_decay,
        future_decay=p.future_decay,
        neighbours=p.neighbours,
    ),
    "attributes": lambda data, p: attribute_cosine(data, neighbours=p.neighbours),
    "kindred": lambda data, p: lent(
        WEIGHTS["transitions"](data, p), attribute_cosine(data, neighbours=p.kindred), neighbours=p.neighbours
    ),
}
MEMBERS = (
    Recipe("transitions", "Linear", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"),
    Recipe("ease", "Linear", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"),
    Recipe("successors", "Linear", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"),
    Recipe("attributes", "Linear", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"),
    Recipe("kindred", "Linear", ("Retriever",), "similarity", ("similarity",), "similarity.linear.members"),
)

LEAST_FLOOR = 1e-3
"""Share of the popular that always stays: nothing may be impossible."""


@dataclass(frozen=True)
class Linear(Aligning):
    """Item-item weights of the items known when it was fitted, by item id; scores no pointwise task."""

    item_id: Texts  # (known,) sorted
    weights: csr_array  # (known, known) from an item taken to an item scored, none below 0
    share: Floats  # (known,)
    power: float  # of scores, before they are made to sum to 1
    floor: float  # share of popularity in the mixture
    look: Look

    @classmethod
    def make(cls, bench: Bench, name: str) -> Linear:
        """Of the weights that `WEIGHTS` calls `name`."""
        params = bench.params.similarity
        return cls.fit(bench.data, WEIGHTS[name](bench.data, params.linear), params)

    @classmethod
    def fit(cls, data: Dataset, weights: csr_array, params: SimilarityParams) -> Linear:
        """Look-back, half-life, power and floor with the least log loss on validation queries, the rest from train.

        Args:
            weights: (n_items, n_items) in catalogue rows, made by one of `WEIGHTS`.
        """
        share = item_shares(data)
        return cls(*_by_id(data, weights, share), *_choose(data, weights, share, params))

    def refit(self, bench: Bench, name: str) -> Linear:
        """Weights and shares of all days; what was chosen stays."""
        params = bench.params.similarity
        return self.relearned(bench.data, WEIGHTS[name](bench.data, params.linear))

    def relearned(self, data: Dataset, weights: csr_array) -> Linear:
        """What was chosen stays; weights and shares are those of another train split."""
        item_id, weights, share = _by_id(data, weights, item_shares(data))
        return replace(self, item_id=item_id, weights=weights, share=share)

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities of the next item; where nothing is near, what is popular."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """Weights and shares are aligned once."""
        weights, shares = self.aligned(data)

        def block(part: slice) -> Sparse:
            states = self.look.back(data, users[part], history[part])
            taken = csr_array(item_weights(data, states), dtype=np.float32)
            near = to_power(taken @ weights, self.power) * (1 - self.floor)
            rest = 1 - np.asarray(near.sum(axis=1), np.float64)
            return Sparse(near[states.inverse], rest[states.inverse], shares)

        return block

    def align(self, data: Dataset) -> tuple[csr_array, Shares]:
        """(n_items, n_items) weights, and shares."""
        place = self.item_id.places(data.items.item_id)
        return self._aligned(place), Shares.of(align_share(place, self.share))

    def _aligned(self, place: Ints) -> csr_array:
        """(n_items, n_items) the weights between the asked items."""
        return align_weights(place, self.weights)

    def save(self, folder: Path) -> None:
        """The ids, two arrays and a few numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self.item_id.save(folder / "item_id.arrow")
        np.save(folder / "share.npy", self.share, allow_pickle=False)
        save_npz(folder / "weights.npz", self.weights)
        numbers = {"power": self.power, "floor": self.floor} | asdict(self.look)
        write_json(folder / "linear.json", numbers)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """What `save` wrote."""
        item_id, share = Texts.load(folder / "item_id.arrow"), np.load(folder / "share.npy", allow_pickle=False)
        numbers = read_json(folder / "linear.json")
        look = Look.of(numbers)
        return cls(item_id, csr_array(load_npz(folder / "weights.npz")), share, **numbers, look=look)


def _by_id(data: Dataset, weights: csr_array, share: Floats) -> tuple[Texts, csr_array, Floats]:
    order = data.items.item_id.order()
    return data.items.item_id[order], csr_array(weights[order][:, order], dtype=np.float32), share[order]


def _choose(data: Dataset, weights: csr_array, share: Floats, params: SimilarityParams) -> tuple[float, float, Look]:
    """Power, floor and look that give the least log loss on validation queries; the floor is solved for by EM."""
    queries = ask_validation(data, params.max_queries, params.seed)
    if not len(queries.users):
        return 1.0, 0.5, Look(params.recent[0], params.half_life_days[0])
    popular = share[queries.target]
    of_look: dict[Look, tuple[float, float, float]] = {}  # loss, power, floor

    def loss(look: Look) -> float:
        states = look.back(data, queries.users, queries.history)
        state = states.inverse[queries.query]
        near = nearness(item_weights(data, states), weights, state, queries.target, POWERS)
        tried = []
        for power, nearby in zip(POWERS, near, strict=True):
            columns = np.stack([np.where(np.isnan(nearby), popular, nearby), popular], axis=1)
            mixed = mixture_weights(columns, queries.counts)
            lost = float(np.average(-np.log(np.maximum(columns @ mixed, 1e-12)), weights=queries.counts))
            tried.append((lost, power, max(float(mixed[1]), LEAST_FLOOR)))
        of_look[look] = min(tried)
        return min(tried)[0]

    look = search_look(params.recent, params.half_life_days, loss)
    _, power, floor = of_look[look]
    return power, floor, look
