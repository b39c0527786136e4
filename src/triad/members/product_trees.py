"""The member `product_trees`: LightGBM (Ke et al. 2017) on what is said of products, and on what similar ones cost.

Its columns are the words' main directions (latent semantic analysis, Deerwester et al. 1990), attributes that are
numbers, a linear guess, comparables, and what brand and category usually cost. Of a train product they leave out what
the product itself says. The trees can name what moved a figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import ORDER, lightgbm
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.product_numbers import UNIT, Lesson, PerTask, both, lesson
from triad.members.product_plain import Known, line, miss, ridge
from triad.products.space import Said, said
from triad.texts import Texts

MEMBERS = Recipe("product_trees", "ProductTrees", ("RowScorer", "Explaining"), answers="products")
TREES, LEAVES = (100, 200, 400, 800), (31, 63)
"""Tried on validation."""
RATE, DIRECTIONS, FOLDS, PENALTY, SHRINK = 0.05, 48, 5, 1.0, 5
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
LIKE, WORDS = "products like it", "its words"
GROUPS = ("category", "brand")
_DIAL = "fuse.members", "a list without product_trees"


@dataclass(frozen=True)
class Usual:
    """What products of a category or a brand usually cost."""

    means: Mapping[str, Mapping[str, float]]  # group → its value → mean label, drawn to the middle
    middle: float

    @classmethod
    def fit(cls, products: Sequence[Said], label: Floats) -> Usual:
        """Of train products."""
        middle, means = float(np.median(label)), dict[str, dict[str, float]]()
        for name in GROUPS:
            values, place = Texts.of([getattr(each, name) for each in products]).codes()
            total, count = np.bincount(place, label - middle), np.bincount(place)
            means[name] = dict(zip(values, (middle + total / (count + SHRINK)).tolist(), strict=True))
        return cls(means, middle)

    def of(self, products: Sequence[Said]) -> Floats:
        """(n, groups)."""
        rows = [[self.means[name].get(getattr(each, name), self.middle) for name in GROUPS] for each in products]
        return np.array(rows, np.float64).reshape(len(products), len(GROUPS))


@dataclass(frozen=True)
class Grown:
    """The trees of one task, and what their columns are made of."""

    known: Known
    axes: Floats  # (columns, directions)
    weights: Floats  # of the linear guess
    usual: Usual
    boosters: tuple[Any, ...]  # their mean is the answer
    trees: int
    leaves: int = LEAVES[0]

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(cls, of: Lesson, later: Lesson | None, like: Grown | None = None) -> Grown:
        """Of `of`; how many trees, of how many leaves, is chosen on `later`, or as it was for `like`."""
        known = Known.fit(of)
        matrix, count = known.space.matrix(of.products), len(of.label)
        size = min(DIRECTIONS, count - 1, matrix.shape[1] - 1)
        axes = TruncatedSVD(size, random_state=1, n_iter=3).fit(matrix).components_.T.astype(np.float32)
        weights, usual = ridge(matrix, of.label, PENALTY), Usual.fit(of.products, of.label)
        made = cls(known, axes, weights, usual, (), like.trees if like else max(TREES))
        guesses: Floats = np.zeros((count, 1 + len(GROUPS)))
        fold = np.arange(count) % FOLDS
        for k in range(FOLDS):  # what a train product's own label is in would give it away
            out, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            rest, label = [of.products[row] for row in out], of.label[out]
            part = replace(made, weights=ridge(matrix[out], label, PENALTY), usual=Usual.fit(rest, label))
            guesses[held] = part._guesses([of.products[row] for row in held], matrix[held])
        columns = made._columns(of.products, matrix, guesses, known.key)
        library = lightgbm(*_DIAL)

        def grown(trees: int, leaves: int, seed: int) -> Any:
            examples = library.Dataset(columns, of.label, feature_name=[f"c{n}" for n in range(columns.shape[1])])
            dials = {**ORDER, **SETTINGS, "num_iterations": trees, "num_leaves": leaves, "seed": seed}
            return library.train(dials, examples)

        if like is not None or later is None:
            trees, leaves = (like.trees, like.leaves) if like else (max(TREES), LEAVES[0])
            first = grown(trees, leaves, SEEDS[0])
        else:
            asked, tried = made.columns(later.products), dict[tuple[int, int], tuple[float, Any]]()
            for leaves in LEAVES:
                each = grown(max(TREES), leaves, SEEDS[0])
                for trees in TREES:
                    tried[trees, leaves] = miss(each.predict(asked, num_iteration=trees), later.label), each
            trees, leaves = min(tried, key=lambda dials: tried[dials][0])
            first = tried[trees, leaves][1]
        more = (grown(trees, leaves, seed) for seed in SEEDS[1:])
        return replace(made, boosters=(first, *more), trees=trees, leaves=leaves)

    @property
    def names(self) -> list[str]:
        """What each column is about, in words."""
        groups = [f"its {name}" for name in GROUPS]
        return [WORDS] * (self.axes.shape[1] + 1) + groups + [LIKE] * 8 + list(self.known.space.names)

    def columns(self, products: Sequence[Said]) -> Floats:
        """(n, columns) of products that were not learned from."""
        matrix = self.known.space.matrix(products)
        return self._columns(products, matrix, self._guesses(products, matrix))

    def _columns(
        self, products: Sequence[Said], matrix: csr_array, guesses: Floats, key: Texts | None = None
    ) -> Floats:
        near = [each(products, key).columns for each in (self.known.nearest, self.known.nearest_called)]
        numbers = self.known.space.numbers(products)
        return np.column_stack([matrix @ self.axes, guesses, *near, numbers]).astype(np.float32)

    def _guesses(self, products: Sequence[Said], matrix: csr_array) -> Floats:
        """(n, 1 + groups) by words, by category and by brand."""
        return np.column_stack([line(matrix, self.weights), self.usual.of(products)])

    def score(self, products: Sequence[Said]) -> Floats:
        if not products:
            return np.zeros(0)
        columns = self.columns(products)
        return np.mean([each.predict(columns, num_iteration=self.trees) for each in self.boosters], axis=0)

    def drivers(self, products: Sequence[Said]) -> list[dict[str, float]]:
        """(n,) what each moved the score by, in the label's unit, the largest first; beside the mean of all."""
        dials, columns = {"num_iteration": self.trees, "pred_contrib": True}, self.columns(products)
        moved = np.mean([each.predict(columns, **dials) for each in self.boosters], axis=0)[:, :-1]
        told = []
        for row in moved:
            by: dict[str, float] = {}
            for name, value in zip(self.names, row, strict=True):
                by[name] = by.get(name, 0.0) + float(value)
            told.append(dict(sorted(by.items(), key=lambda each: -abs(each[1]))))
        return told

    def save(self, folder: Path) -> None:
        """Arrays, and the trees as LightGBM's text."""
        self.known.save(folder)
        np.save(folder / "axes.npy", self.axes, allow_pickle=False)
        np.save(folder / "weights.npy", self.weights, allow_pickle=False)
        for number, each in enumerate(self.boosters):
            (folder / f"trees{number}.txt").write_text(each.model_to_string(self.trees), encoding="utf-8")
        write_json(folder / "grown.json", {"usual": asdict(self.usual), "trees": self.trees, "leaves": self.leaves})

    @classmethod
    def load(cls, folder: Path) -> Grown:
        """What `save` wrote."""
        numbers = read_json(folder / "grown.json")
        axes, weights = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("axes", "weights"))
        library, files = lightgbm(*_DIAL), sorted(folder.glob("trees*.txt"))
        boosters = tuple(library.Booster(model_str=file.read_text(encoding="utf-8")) for file in files)
        chosen = numbers["trees"], numbers["leaves"]
        return cls(Known.load(folder), axes, weights, Usual(**numbers["usual"]), boosters, *chosen)


class ProductTrees(PerTask[Grown]):
    """`Grown` of each task."""

    of = Grown

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Grown | None) -> Grown:
        """Trees and their leaves are chosen on validation."""
        return Grown.fit(*both(data, task)) if former is None else Grown.fit(lesson(data, task, "train"), None, former)

    def comparables(self, data: Dataset, rows: Ints, task: str, count: int) -> list[list[tuple[str, float, float]]]:
        """(n,) key, label and likeness of the nearest products that were learned from and share a word with it."""
        known, products = self.held[task].known, said(data.units[UNIT], rows)
        near = known.nearest(products, data.units[UNIT].product_id[np.asarray(rows)])
        return [
            [(known.key[int(r)], float(y), float(c)) for r, y, c in zip(*each, strict=True) if c > 0][:count]
            for each in zip(near.row, near.label, near.cosine, strict=True)
        ]

    def drivers(self, data: Dataset, rows: Ints, task: str) -> list[dict[str, float]]:
        """See `Grown.drivers`."""
        return self.held[task].drivers(said(data.units[UNIT], rows))
