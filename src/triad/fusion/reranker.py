"""The order of a list's first items, learned: boosted trees that raise NDCG, of the library LightGBM.

Their loss is XE-NDCG (Bruch 2021, doi:10.1145/3442381.3450072). It did as well as LambdaMART's in less time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import lightgbm
from triad.fusion.candidates import Candidates, Queries, propose
from triad.fusion.signals import Reading, names, signals

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
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
TREES = (100, 200)
"""How many are tried."""


def table(reading: Reading, queries: Queries, scores: Mapping[str, Floats], each: int) -> tuple[Candidates, Floats]:
    """The candidates of `queries` by members' `scores` (q, n_items), and their signals."""
    candidates = propose(reading.data, reading.log, queries, scores, each)
    return candidates, signals(reading, queries, candidates, scores)


@dataclass(frozen=True)
class Reranker:
    """Boosted trees that order candidates."""

    booster: Any
    members: tuple[str, ...]  # whose scores it reads, in order
    each: int  # candidates of each

    @classmethod
    def fit(cls, lists: tuple[Floats, Ints, Ints], members: tuple[str, ...], each: int, **settings: int) -> Reranker:
        """Learned of lists.

        Args:
            lists: (p, columns) `signals` of their candidates, list after list; (p,) 1 where one was taken, else 0;
                (lists,) candidates of each.
            settings: `seed`, and how many trees are grown as `num_iterations`.
        """
        library = lightgbm("fuse.combine", "convex")
        columns, taken, sizes = lists
        examples = library.Dataset(columns, taken, group=sizes, feature_name=list(names(members)))
        return cls(library.train({**SETTINGS, **settings}, examples), members, each)

    def scores(self, columns: Floats) -> Floats:
        """(p,) higher stands further up."""
        return np.asarray(self.booster.predict(columns)) if len(columns) else np.zeros(0)

    def scores_by(self, columns: Floats, trees: Sequence[int]) -> Floats:
        """(choices, p) by the first so many of its trees, for each of `trees`, which rise."""
        steps = zip(trees, np.diff(trees, prepend=0), strict=True)
        parts = [self.booster.predict(columns, start_iteration=last - more, num_iteration=more) for last, more in steps]
        return np.cumsum(parts, axis=0)

    @property
    def shares(self) -> dict[str, float]:
        """Column → its share of what the trees' splits gain, largest first."""
        gain = self.booster.feature_importance("gain")
        share = gain / max(gain.sum(), 1e-12)
        order = np.argsort(-share, kind="stable")
        return {self.booster.feature_name()[place]: float(share[place]) for place in order}

    def rerank(self, reading: Reading, queries: Queries, scores: Mapping[str, Floats], base: Floats) -> Floats:
        """(q, n_items) probabilities: the candidates first, in the learned order; then the others, in that of `base`.

        Args:
            scores: of each of `members`, (q, n_items), as when it was learned.
            base: (q, n_items) the fusion's probabilities. Candidates share among them what it gives to them.
        """
        candidates, columns = table(reading, queries, {name: scores[name] for name in self.members}, self.each)
        raised = np.exp(_less_highest(candidates, self.scores(columns)))
        query, item = candidates.query, candidates.item
        mass = np.bincount(query, base[query, item], minlength=len(base))
        fused = np.array(base)
        fused[query, item] = 0
        chance = (raised * mass[query] / np.bincount(query, raised, minlength=len(base))[query]).astype(fused.dtype)
        least = np.full(len(base), np.inf)
        np.minimum.at(least, query, chance)
        highest = fused.max(axis=1)
        fused *= np.minimum(1, 0.999 * least / np.maximum(highest, 1e-300))[:, None]
        fused[query, item] = chance
        return fused / fused.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """The trees as LightGBM's text, and what they read."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trees.txt").write_text(self.booster.model_to_string(), encoding="utf-8")
        write_json(folder / "reranker.json", {"members": list(self.members), "each": self.each})

    @classmethod
    def load(cls, folder: Path) -> Reranker:
        """What `save` wrote."""
        told = read_json(folder / "reranker.json")
        booster = lightgbm("fuse.combine", "convex").Booster(
            model_str=(folder / "trees.txt").read_text(encoding="utf-8")
        )
        return cls(booster, tuple(told["members"]), told["each"])


def _less_highest(candidates: Candidates, scores: Floats) -> Floats:
    highest = np.full(candidates.queries, -np.inf)
    np.maximum.at(highest, candidates.query, scores)
    return scores - highest[candidates.query]
