"""The order of a list's first items, learned: boosted trees that raise NDCG, of the library LightGBM, and beside them a
network (`listwise`) where that is better.

Their loss is XE-NDCG (Bruch 2021, doi:10.1145/3442381.3450072): on a shop's lists it did as well as LambdaMART's, in
less time. On lists of given candidates LambdaMART's (Burges 2010, MSR-TR-2010-82) did better, with larger trees.
Trees of a few thousand lists are part luck: where `fuse.fits` asks for several forests, their mean counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import grow_order, lightgbm, split_shares
from triad.forest import Forest, Tree, forest, paths
from triad.fusion.candidates import Candidates, Queries, propose
from triad.fusion.signals import SHOP, Reading, grounds, names, signals
from triad.members.chances import Chances
from triad.members.listwise import Listwise

SETTINGS: Mapping[str, Any] = {
    "objective": "rank_xendcg",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "force_col_wise": True,
}
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "xe_ndcg": {},
    "lambdarank": {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 20,
        "num_leaves": 15,
        "min_data_in_leaf": 200,
        "bagging_fraction": 0.8,
        "lambda_l2": 5.0,
        "max_bin": 255,
    },
}
"""`fuse.loss` → what differs from `SETTINGS`."""
TOLD, NETWORK = "reranker.json", "network.npz"


def table(reading: Reading, queries: Queries, chances: Mapping[str, Chances], each: int) -> tuple[Candidates, Floats]:
    """The candidates of `queries` by what members say of them, and their signals."""
    candidates, scores = propose(reading.data, reading.front, queries, chances, each)
    return candidates, signals(reading, queries, candidates, scores)


@dataclass(frozen=True)
class First:
    """The items at the top of lists."""

    candidates: Candidates  # (p,)
    among: Floats  # (p,) probability of each among its list's
    columns: Floats  # (p, columns) `signals`


@dataclass(frozen=True)
class Reranker:
    """Boosted trees that order candidates, and a network."""

    texts: tuple[str, ...]  # forests, as LightGBM writes them; their mean counts
    members: tuple[str, ...]  # whose scores it reads, in order
    each: int  # candidates of each
    network: Listwise | None = None
    weight: float = 0.0  # of what the network says; the trees have the rest
    shares: dict[str, float] = field(default_factory=dict)
    """Column → its share of what the trees' splits gain, largest first; only of one that was just learned."""

    @classmethod
    def fit(
        cls,
        lists: tuple[Floats, Ints, Ints],
        members: tuple[str, ...],
        each: int,
        loss: str = "xe_ndcg",
        **settings: int,
    ) -> Reranker:
        """Learned of lists.

        Args:
            lists: (p, columns) `signals` of their candidates, list after list; (p,) 1 where one was taken, else 0;
                (lists,) candidates of each.
            loss: one of `LOSSES`.
            settings: `seed`, and how many trees are grown as `num_iterations`.
        """
        library = lightgbm("fuse.combine", "convex")
        booster = grow_order(library, {**SETTINGS, **LOSSES[loss], **settings}, lists, names(members))
        return cls((booster.model_to_string(),), members, each, shares=split_shares(booster))

    @classmethod
    def mean(cls, parts: Sequence[Reranker]) -> Reranker:
        """The mean of `parts`, which read the same."""
        texts = tuple(text for part in parts for text in part.texts)
        shares = {name: sum(part.shares[name] for part in parts) / len(parts) for name in parts[0].shares}
        return replace(parts[0], texts=texts, shares=dict(sorted(shares.items(), key=lambda pair: -pair[1])))

    def scores(self, columns: Floats) -> Floats:
        """(p,) higher stands further up."""
        return self._mixed(self._forest.scores(columns), self._said(columns), self.weight)

    def scores_by(self, columns: Floats, choices: Sequence[tuple[int, float]]) -> Floats:
        """(choices, p) by the first so many trees of each forest and the network's weight, for each of `choices`."""
        trees, said = sorted({trees for trees, _ in choices}), self._said(columns)
        grown = np.sum([Forest(each).scores_by(columns, trees) for each in self._forests], axis=0)
        return np.stack([self._mixed(grown[trees.index(most)], said, weight) for most, weight in choices])

    def _said(self, columns: Floats) -> Floats | None:
        return None if self.network is None else self.network.scores(columns)

    @staticmethod
    def _mixed(grown: Floats, said: Floats | None, weight: float) -> Floats:
        return grown if said is None else (1 - weight) * grown + weight * said

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of a pair."""
        return names(self.members)

    def contributions(self, columns: Floats) -> Floats:
        """(p, columns + 1) what each column adds, the last what all start from; a row's sum is its score.

        Of the trees these are Shapley values.
        """
        each = [one.predict(columns, pred_contrib=True, num_threads=1) for one in self._boosters]
        grown = np.mean(each, axis=0).reshape(len(columns), -1)
        said = None if self.network is None else self.network.contributions(columns)
        return self._mixed(grown, said, self.weight)

    @cached_property
    def _boosters(self) -> list[Any]:
        return [lightgbm("fuse.combine", "convex").Booster(model_str=text) for text in self.texts]

    @cached_property
    def _forests(self) -> list[list[Tree]]:
        """Each with its share of the mean."""
        share = len(self.texts)
        return [[replace(tree, value=tree.value / share) for tree in forest(text)] for text in self.texts]

    @cached_property
    def _forest(self) -> Forest:
        return Forest([tree for trees in self._forests for tree in trees])

    def grounds(self, columns: Floats) -> Ints:
        """(p,) which of `signals.grounds` raises each score most over that of a middling candidate.

        By moves along the trees' paths: a hundred times as soon as the Shapley values of `contributions`, and as true
        to the sum, if not to each column.
        """
        told = grounds(self.members)
        grown = self._paths.scores(columns)
        said = None
        if self.network is not None:
            said = self.network.contributions(columns)[:, :-1] @ np.eye(SHOP + 1)[told]
        return self._mixed(grown, said, self.weight)[:, 1:].argmax(axis=1).astype(np.int8) + np.int8(1)

    @cached_property
    def _paths(self) -> Forest:
        told, share = grounds(self.members), len(self.texts)
        trees = [tree for text in self.texts for tree in paths(text, told, SHOP + 1)]
        return Forest([replace(tree, value=tree.value / share) for tree in trees])

    def first(self, reading: Reading, queries: Queries, chances: Mapping[str, Chances]) -> First:
        """The candidates, and the probability of each among them, in the learned order.

        Args:
            chances: what each of `members` says, as when it was learned.
        """
        candidates, columns = table(reading, queries, {name: chances[name] for name in self.members}, self.each)
        raised = np.exp(_less_highest(candidates, self.scores(columns)))
        among = raised / np.bincount(candidates.query, raised, minlength=len(queries))[candidates.query]
        return First(candidates, among, columns)

    def rerank(self, reading: Reading, queries: Queries, chances: Mapping[str, Chances], base: Floats) -> Floats:
        """(q, n_items) probabilities: the candidates first, in the learned order; then the others, in that of `base`.

        Args:
            chances: as of `first`.
            base: (q, n_items) the fusion's probabilities. Candidates share among them what it gives to them.
        """
        first = self.first(reading, queries, chances)
        query, item = first.candidates.query, first.candidates.item
        mass = np.bincount(query, base[query, item], minlength=len(base))
        fused = np.array(base)
        fused[query, item] = 0
        chance = (first.among * mass[query]).astype(fused.dtype)
        least = np.full(len(base), np.inf)
        np.minimum.at(least, query, chance)
        highest = fused.max(axis=1)
        fused *= np.minimum(1, 0.999 * least / np.maximum(highest, np.finfo(highest.dtype).tiny))[:, None]
        fused[query, item] = chance
        return fused / fused.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """The trees as LightGBM's text, the network's arrays, and what they read."""
        folder.mkdir(parents=True, exist_ok=True)
        for nth, text in enumerate(self.texts):
            (folder / ("trees.txt" if nth == 0 else f"trees_{nth:03}.txt")).write_text(text, encoding="utf-8")
        if self.network is not None:
            self.network.save(folder / NETWORK)
        write_json(folder / TOLD, {"members": list(self.members), "each": self.each, "weight": self.weight})

    @classmethod
    def load(cls, folder: Path) -> Reranker:
        """What `save` wrote."""
        told = read_json(folder / TOLD)
        texts = tuple(file.read_text(encoding="utf-8") for file in sorted(folder.glob("trees*.txt")))
        network = Listwise.load(folder / NETWORK) if (folder / NETWORK).is_file() else None
        return cls(texts, tuple(told["members"]), told["each"], network, told.get("weight", 0.0))


def _less_highest(candidates: Candidates, scores: Floats) -> Floats:
    highest = np.full(candidates.queries, -np.inf)
    np.maximum.at(highest, candidates.query, scores)
    return scores - highest[candidates.query]
