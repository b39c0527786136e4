"""The member `product_trees`: LightGBM (Ke et al. 2017) on what is said of products, and on what similar ones cost.

They read the columns of `product_columns`, and can name which of them moved a figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import ORDER, lightgbm
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.product_columns import Columns
from triad.members.product_numbers import UNIT, Lesson, PerTask, both, lesson
from triad.members.product_plain import miss
from triad.products.space import Said, said

MEMBERS = Recipe("product_trees", "ProductTrees", ("RowScorer", "Explaining"), answers="products")
TREES, LEAVES = (100, 200, 400, 800), (31, 63)
"""Tried on validation."""
RATE = 0.05
SETTINGS: Mapping[str, Any] = {
    "objective": "regression_l1",
    "learning_rate": RATE,
    "min_data_in_leaf": 10,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 127,
    "force_row_wise": True,
}
SEEDS = (1, 2, 3)
"""Of forests, whose mean is nearer than one. Dials are chosen with the first."""
_DIAL = "fuse.members", "a list without product_trees"


@dataclass(frozen=True)
class Grown:
    """The trees of one task, and what they read."""

    columns: Columns
    boosters: tuple[Any, ...]  # their mean is the answer
    trees: int
    leaves: int = LEAVES[0]

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(cls, of: Lesson, later: Lesson | None, like: Grown | None = None) -> Grown:
        """Of `of`; how many trees, of how many leaves, is chosen on `later`, or as it was for `like`."""
        made, columns = Columns.fit(of)
        library = lightgbm(*_DIAL)

        def grown(trees: int, leaves: int, seed: int) -> Any:
            examples = library.Dataset(columns, of.label, feature_name=[f"c{n}" for n in range(columns.shape[1])])
            dials = {**ORDER, **SETTINGS, "num_iterations": trees, "num_leaves": leaves, "seed": seed}
            return library.train(dials, examples)

        if like is not None or later is None:
            trees, leaves = (like.trees, like.leaves) if like else (max(TREES), LEAVES[0])
            first = grown(trees, leaves, SEEDS[0])
        else:
            asked, tried = made.of(later.products), dict[tuple[int, int], tuple[float, Any]]()
            for leaves in LEAVES:
                each = grown(max(TREES), leaves, SEEDS[0])
                for trees in TREES:
                    tried[trees, leaves] = miss(each.predict(asked, num_iteration=trees), later.label), each
            trees, leaves = min(tried, key=lambda dials: tried[dials][0])
            first = tried[trees, leaves][1]
        more = (grown(trees, leaves, seed) for seed in SEEDS[1:])
        return cls(made, (first, *more), trees, leaves)

    def score(self, products: Sequence[Said]) -> Floats:
        if not products:
            return np.zeros(0)
        columns = self.columns.of(products)
        return np.mean([each.predict(columns, num_iteration=self.trees) for each in self.boosters], axis=0)

    def drivers(self, products: Sequence[Said]) -> list[dict[str, float]]:
        """(n,) what each moved the score by, in the label's unit, the largest first; beside the mean of all."""
        dials, columns = {"num_iteration": self.trees, "pred_contrib": True}, self.columns.of(products)
        moved = np.mean([each.predict(columns, **dials) for each in self.boosters], axis=0)[:, :-1]
        told = []
        for row in moved:
            by: dict[str, float] = {}
            for name, value in zip(self.columns.names, row, strict=True):
                by[name] = by.get(name, 0.0) + float(value)
            told.append(dict(sorted(by.items(), key=lambda each: -abs(each[1]))))
        return told

    def save(self, folder: Path) -> None:
        """Arrays, and the trees as LightGBM's text."""
        self.columns.save(folder)
        for number, each in enumerate(self.boosters):
            (folder / f"trees{number}.txt").write_text(each.model_to_string(self.trees), encoding="utf-8")
        write_json(folder / "grown.json", {"trees": self.trees, "leaves": self.leaves})

    @classmethod
    def load(cls, folder: Path) -> Grown:
        """What `save` wrote."""
        numbers = read_json(folder / "grown.json")
        library, files = lightgbm(*_DIAL), sorted(folder.glob("trees*.txt"))
        boosters = tuple(library.Booster(model_str=file.read_text(encoding="utf-8")) for file in files)
        return cls(Columns.load(folder), boosters, numbers["trees"], numbers["leaves"])


class ProductTrees(PerTask[Grown]):
    """`Grown` of each task."""

    of = Grown

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Grown | None) -> Grown:
        """Trees and their leaves are chosen on validation."""
        return Grown.fit(*both(data, task)) if former is None else Grown.fit(lesson(data, task, "train"), None, former)

    def comparables(self, data: Dataset, rows: Ints, task: str, count: int) -> list[list[tuple[str, float, float]]]:
        """(n,) key, label and likeness of the nearest products that were learned from and share a word with it."""
        known, products = self.held[task].columns.known, said(data.units[UNIT], rows)
        near = known.nearest(products, data.units[UNIT].product_id[np.asarray(rows)])
        return [
            [(known.key[int(r)], float(y), float(c)) for r, y, c in zip(*each, strict=True) if c > 0][:count]
            for each in zip(near.row, near.label, near.cosine, strict=True)
        ]

    def drivers(self, data: Dataset, rows: Ints, task: str) -> list[dict[str, float]]:
        """See `Grown.drivers`."""
        return self.held[task].drivers(said(data.units[UNIT], rows))
