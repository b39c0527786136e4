"""The item-similarity member: items near the user's history, by baskets and by pretrained item vectors.

Its seven features are weighed by a logistic regression a task. That regression reads *validation* rows only: in train
rows the neighbours and the pretrained items have already seen the very clicks to be predicted (through the user's
own co-occurrences and next-item steps), so both would look far better than they are on a later day. Seven weights
need no more rows than validation has.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.similarity import SimilarityParams
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.chances import Blocks, Chances, Opens, Shares
from triad.members.history import Look, closest, item_weights, pick
from triad.members.item_index import Aligning, align_share, align_vectors, align_weights
from triad.members.labelled import labelled
from triad.members.nearest import Nearest
from triad.members.neighbours import Blend, Space, best_look, chances, fit_blend, profile_vectors
from triad.members.pairs import item_neighbours
from triad.members.popularity import item_shares
from triad.tasks import of_unit
from triad.texts import Texts

log = logging.getLogger("triad.similarity")
FEATURES = ("neighbours", "again", "closeness", "closest", "popularity", "steps", "is_empty")
ROWS = 50_000
"""Exposures scored at once, which keeps memory flat."""
MEMBERS = (
    Recipe("similarity", "Similarity", ("RowScorer", "Retriever"), "similarity", ("pretrain", "similarity", "tasks")),
    Recipe("item_knn", "Similarity", ("RowScorer", "Retriever")),
)


@dataclass(frozen=True)
class Logit:
    """A fitted logistic regression on `FEATURES`."""

    weight: list[float]
    intercept: float

    def probability(self, features: Floats) -> Floats:
        """(n,) from (n, 7)."""
        return 1 / (1 + np.exp(-(features @ np.array(self.weight) + self.intercept)))


@dataclass(frozen=True)
class Similarity(Aligning):
    """Neighbours, vectors and shares of the items known when it was fitted, by item id."""

    item_id: Texts  # (known,) sorted
    neighbours: csr_array  # (known, known)
    vectors: Floats  # (known, dim)
    share: Floats  # (known,)
    logits: dict[str, Logit]
    blend: Blend
    look: Look

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.logits)

    @classmethod
    def make(cls, bench: Bench, name: str) -> Similarity:
        """The member `similarity`, or `item_knn`, which is a part of it."""
        if name == "item_knn":
            similarity: Similarity = bench.member("similarity")
            return similarity.item_knn()
        member = cls.fit(bench.data, bench.vectors(), bench.params.tasks, bench.params.similarity)
        items, pairs = len(member.item_id), member.neighbours.nnz
        log.info("%d items, %d neighbours, %s, tasks %s", items, pairs, member.blend, ", ".join(member.tasks))
        return member

    @classmethod
    def fit(
        cls, data: Dataset, vectors: Floats, tasks: Mapping[str, TaskParams], params: SimilarityParams
    ) -> Similarity:
        """Neighbours and shares from train, everything that weighs them from validation.

        Args:
            vectors: (n_items, dim) pretrained item vectors, in catalogue rows (`pretrained.item_vectors`).

        Raises:
            TriadError: a binary task has no label or one label in validation.
        """
        known, unweighed = _known(data, vectors, params), Blend(1.0, 1.0, (0.0, 0.0, 0.0, 1.0))
        space = cls(*known, {}, unweighed, Look(params.recent[0], params.half_life_days[0]))._space(data)
        look = best_look(data, space, params)
        blend = fit_blend(data, space, look, max_queries=params.max_queries, seed=params.seed)
        blank = cls(*known, {}, blend, look)
        logits = {
            name: _logit(data, blank.features(data, rows), rows, label)
            for name, task in of_unit("exposures", tasks).items()
            if KINDS[task.kind].is_event
            for rows, label in [labelled(data, name, "validation", both=True)]
        }
        return replace(blank, logits=logits)

    def refit(self, bench: Bench, name: str) -> Similarity:
        """Neighbours, vectors and shares of all days; what weighs them stays."""
        item_id, neighbours, vectors, share = _known(bench.data, bench.vectors(), bench.params.similarity)
        return replace(self, item_id=item_id, neighbours=neighbours, vectors=vectors, share=share)

    def item_knn(self) -> Similarity:
        """Its neighbours alone, as the plain item-kNN that others are compared with; popularity breaks ties."""
        return replace(self, logits={}, blend=replace(self.blend, weight=(0.0, 0.999, 0.0, 0.001)))

    def features(self, data: Dataset, rows: Ints) -> Floats:
        """(n, 7) what `FEATURES` name, of exposure `rows`; logarithms of shares keep tails linear."""
        space = self.aligned(data)[0]
        blocks = [self._features(data, space, part) for part in np.split(rows, range(ROWS, len(rows), ROWS))]
        return np.concatenate(blocks)

    def _features(self, data: Dataset, space: Space, rows: Ints) -> Floats:
        exposures = data.exposures
        item, user = np.asarray(exposures.item)[rows], np.asarray(exposures.user)[rows]
        done = np.asarray(exposures.history)[rows]
        states = self.look.back(data, user, done)
        weight = item_weights(data, states)
        profile = profile_vectors(weight, space.vectors)
        columns = (
            np.log(1e-3 + pick(weight @ space.neighbours, states.inverse, item)),
            np.log(1e-2 + pick(weight, states.inverse, item)),
            np.einsum("nd,nd->n", profile[states.inverse], space.vectors[item]),
            closest(data, states, space.vectors, item),
            np.log(space.share[item] * len(space.share)),
            np.log1p(done),
            done == 0,
        )
        return np.stack(columns, axis=1).astype(np.float64)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """{task: (n,) probability} of the binary tasks."""
        logits = {task: logit for task, logit in self.logits.items() if tasks is None or task in tasks}
        features = self.features(data, rows) if logits else np.zeros((0, len(FEATURES)))
        return {task: logit.probability(features) for task, logit in logits.items()}

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities of the next item."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """What was learnt is aligned once."""
        return self._open(data, users, history, None, *self.aligned(data))

    def indexed(self, data: Dataset) -> Opens:
        """With an index over the items' vectors, where closeness counts."""
        space, shares = self.aligned(data)
        nearest = Nearest.of(space.vectors) if self.blend.weight[2] else None
        return partial(self._open, space=replace(space, nearest=nearest), shares=shares)

    def _open(self, data: Dataset, users: Ints, history: Ints, _: Ints | None, space: Space, shares: Shares) -> Blocks:
        def block(part: slice) -> Chances:
            states = self.look.back(data, users[part], history[part])
            return chances(data, space, shares, states, self.blend)

        return block

    def align(self, data: Dataset) -> tuple[Space, Shares]:
        """The space, and how common its items are."""
        space = self._space(data)
        return space, Shares.of(space.share)

    def _space(self, data: Dataset) -> Space:
        """What was learnt, in the catalogue rows of `data`; an unknown item has no neighbours."""
        place = self.item_id.places(data.items.item_id)
        neighbours = csr_array(align_weights(place, self.neighbours), dtype=np.float64)  # as the weights of histories
        return Space(neighbours, align_vectors(place, self.vectors, data.items), align_share(place, self.share))

    def save(self, folder: Path) -> None:
        """Arrays, the sparse neighbours, and the numbers that weigh them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.item_id.save(folder / "item_id.arrow")
        for name in ("vectors", "share"):
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        save_npz(folder / "neighbours.npz", self.neighbours)
        numbers: dict[str, Any] = asdict(self.look)
        numbers |= {"blend": asdict(self.blend), "logits": {task: asdict(logit) for task, logit in self.logits.items()}}
        write_json(folder / "similarity.json", numbers)

    @classmethod
    def load(cls, folder: Path) -> Similarity:
        """What `save` wrote."""
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("vectors", "share")}
        item_id = Texts.load(folder / "item_id.arrow")
        numbers = read_json(folder / "similarity.json")
        logits = {task: Logit(**logit) for task, logit in numbers.pop("logits").items()}
        blend, look = numbers.pop("blend"), Look.of(numbers)
        blend["weight"] = tuple(blend["weight"])
        neighbours = csr_array(load_npz(folder / "neighbours.npz"))
        return cls(item_id, **arrays, neighbours=neighbours, logits=logits, blend=Blend(**blend), look=look)


def _known(data: Dataset, vectors: Floats, params: SimilarityParams) -> tuple[Texts, csr_array, Floats, Floats]:
    """Ids, neighbours, vectors and shares of the catalogue, by item id."""
    order = data.items.item_id.order()
    neighbours = item_neighbours(data, neighbours=params.neighbours, shrink=params.shrink)
    return data.items.item_id[order], neighbours[order][:, order], vectors[order], item_shares(data)[order]


@threadpool_limits.wrap(limits=1)  # seven columns: threads would only wait for one another
def _logit(data: Dataset, features: Floats, rows: Ints, label: Floats) -> Logit:
    """Fitted on standardised features, with the ridge chosen by folds that keep a user together."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV  # who only asks does not wait for them
    from sklearn.model_selection import GroupKFold

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-9] = 1
    group = np.asarray(data.exposures.user)[rows]
    scaled = (features - mean) / scale
    users = len(np.unique(group))
    folds = list(GroupKFold(min(5, users)).split(scaled, label, group)) if users > 1 else []
    folds = [(fit, held) for fit, held in folds if min(np.ptp(label[fit]), np.ptp(label[held])) > 0]
    if folds:
        ridges = np.logspace(-4, 1, 6)
        model = LogisticRegressionCV(
            Cs=ridges, cv=folds, scoring="neg_log_loss", l1_ratios=(0.0,), use_legacy_attributes=False
        )
    else:  # too few positives to choose by
        model = LogisticRegression(C=1e-2)
    model.fit(scaled, label)
    weight = model.coef_[0] / scale
    return Logit([float(w) for w in weight], float(model.intercept_[0] - weight @ mean))
