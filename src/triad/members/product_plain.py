"""A product's price as a shop would guess it: `category_median`; by what is said of it: `product_ridge`; by products
that are like it: `comparables`. They answer every number that is asked of products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz
from sklearn.linear_model import Ridge

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.product_numbers import Lesson, PerTask, both, lesson
from triad.products.comparables import Comparables
from triad.products.space import Said, Space
from triad.texts import Texts

PENALTIES = (0.3, 1.0, 3.0)
"""Tried by `product_ridge` on validation."""
SHRINK = 5
"""Products that the broader median counts for."""
MEMBERS = (
    Recipe("product_ridge", "ProductRidge", ("RowScorer",), answers="products"),
    Recipe("comparables", "NearestProducts", ("RowScorer",), answers="products"),
    Recipe("category_median", "CategoryMedian", ("RowScorer",), answers="products"),
)


def ridge(matrix: csr_array, label: Floats, penalty: float) -> Floats:
    """(columns + 1,) weights, the intercept last."""
    model = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-3).fit(matrix, label)
    return np.append(model.coef_, model.intercept_)


def line(matrix: csr_array, weights: Floats) -> Floats:
    """(n,) what `ridge` gives."""
    return np.asarray(matrix @ weights[:-1] + weights[-1])


def miss(scores: Floats, label: Floats) -> float:
    """Mean absolute error, by which dials are chosen on validation."""
    return float(np.abs(scores - label).mean())


@dataclass(frozen=True)
class Linear:
    """Ridge regression on words and letters."""

    space: Space
    weights: Floats
    penalty: float

    @classmethod
    def fit(cls, of: Lesson, later: Lesson | None, penalty: float | None = None) -> Linear:
        """Of `of`; the penalty chosen on `later`."""
        space = Space.fit(of.products)
        matrix = space.matrix(of.products)
        tried = {each: ridge(matrix, of.label, each) for each in (PENALTIES if penalty is None else (penalty,))}
        if later is not None and len(tried) > 1:
            held = space.matrix(later.products)
            penalty = min(tried, key=lambda each: miss(line(held, tried[each]), later.label))
        chosen = penalty if penalty is not None else PENALTIES[0]
        return cls(space, tried[chosen], chosen)

    def score(self, products: Sequence[Said]) -> Floats:
        return line(self.space.matrix(products), self.weights)

    def save(self, folder: Path) -> None:
        """The space, the weights and the penalty."""
        self.space.save(folder)
        np.save(folder / "weights.npy", self.weights.astype(np.float32), allow_pickle=False)
        write_json(folder / "linear.json", {"penalty": self.penalty})

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """What `save` wrote."""
        weights = np.load(folder / "weights.npy", allow_pickle=False).astype(np.float64)
        return cls(Space.load(folder), weights, read_json(folder / "linear.json")["penalty"])


class ProductRidge(PerTask[Linear]):
    """`Linear` of each task."""

    of = Linear

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Linear | None) -> Linear:
        """Its penalty is chosen on validation."""
        if former is None:
            return Linear.fit(*both(data, task))
        return Linear.fit(lesson(data, task, "train"), None, former.penalty)


@dataclass(frozen=True)
class Known:
    """Train products: what is like one of them may cost the same."""

    space: Space
    key: Texts
    matrix: csr_array
    called: csr_array  # the letters of what each is called
    label: Floats

    @classmethod
    def fit(cls, of: Lesson) -> Known:
        """Of the words of `of`."""
        space = Space.fit(of.products)
        return cls(space, of.key, space.terms(of.products), space.called(of.products), of.label)

    def nearest(self, products: Sequence[Said], key: Texts | None = None) -> Comparables:
        """Of `products`, none of which is its own comparable."""
        return Comparables.of(self.matrix, self.label, self.space.terms(products), self.own(products, key))

    def nearest_called(self, products: Sequence[Said], key: Texts | None = None) -> Comparables:
        """By the letters of what they are called: models of a series."""
        return Comparables.of(self.called, self.label, self.space.called(products), self.own(products, key))

    def own(self, products: Sequence[Said], key: Texts | None) -> Ints:
        """(n,) which known product each is itself; -1 for none, and for all without a key."""
        return np.full(len(products), -1) if key is None else self.key.places(key)

    def score(self, products: Sequence[Said]) -> Floats:
        return self.nearest(products).mean

    def save(self, folder: Path) -> None:
        """The space, the matrix, keys and labels."""
        self.space.save(folder)
        for name, matrix in (("matrix", self.matrix), ("called", self.called)):
            save_npz(folder / f"{name}.npz", matrix, compressed=False)
        self.key.save(folder / "key.arrow")
        np.save(folder / "label.npy", self.label, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Known:
        """What `save` wrote."""
        label = np.load(folder / "label.npy", allow_pickle=False)
        matrix, called = (csr_array(load_npz(folder / f"{name}.npz")) for name in ("matrix", "called"))
        return cls(Space.load(folder), Texts.load(folder / "key.arrow"), matrix, called, label)


class NearestProducts(PerTask[Known]):
    """`Known` of each task."""

    of = Known

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Known | None) -> Known:
        """There is nothing to choose."""
        return Known.fit(lesson(data, task, "train"))


@dataclass(frozen=True)
class Medians:
    """By category, narrow ones drawn to the broader."""

    at: Mapping[str, float]
    everywhere: ClassVar[str] = ""

    @classmethod
    def fit(cls, of: Lesson) -> Medians:
        """Of `of`."""
        at = {cls.everywhere: float(np.median(of.label))}
        paths = [_prefixes(each.category) for each in of.products]
        for path in sorted({each for every in paths for each in every}, key=lambda path: (path.count("/"), path)):
            own = np.array([label for label, every in zip(of.label, paths, strict=True) if path in every])
            broader = at[path.rpartition("/")[0]]
            at[path] = float((len(own) * np.median(own) + SHRINK * broader) / (len(own) + SHRINK))
        return cls(at)

    def score(self, products: Sequence[Said]) -> Floats:
        known = [[path for path in _prefixes(each.category) if path in self.at] for each in products]
        return np.array([self.at[each[-1] if each else self.everywhere] for each in known], np.float64)

    def save(self, folder: Path) -> None:
        """One file."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "medians.json", dict(self.at))

    @classmethod
    def load(cls, folder: Path) -> Medians:
        """What `save` wrote."""
        return cls(read_json(folder / "medians.json"))


class CategoryMedian(PerTask[Medians]):
    """`Medians` of each task."""

    of = Medians

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Medians | None) -> Medians:
        """There is nothing to choose."""
        return Medians.fit(lesson(data, task, "train"))


def _prefixes(path: str) -> list[str]:
    parts = path.split("/") if path else []
    prefixes = ["/".join(parts[: place + 1]) for place in range(len(parts))]
    return [path for path in prefixes if path]  # of a path that begins with "/" the first one would be everywhere
