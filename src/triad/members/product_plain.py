"""A product's price as a shop would guess it: `category_median`; by what is said of it: `product_ridge`; by products
that are like it: `comparables`. They answer every number that is asked of products.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz
from sklearn.linear_model import Ridge

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.products.comparables import Comparables
from triad.products.space import Said, Space, said
from triad.texts import Texts

UNIT = "products"
PENALTIES = (0.3, 1.0, 3.0)
"""Tried by `product_ridge` on validation."""
SHRINK = 5
"""Products that the broader median counts for."""
MEMBERS = (
    Recipe("product_ridge", "ProductRidge", ("RowScorer",), answers="products"),
    Recipe("comparables", "NearestProducts", ("RowScorer",), answers="products"),
    Recipe("category_median", "CategoryMedian", ("RowScorer",), answers="products"),
)


@dataclass(frozen=True)
class Lesson:
    """What is known of a task's products in a split."""

    key: Texts
    products: list[Said]
    label: Floats


def asked_numbers(bench: Bench) -> list[str]:
    """Tasks that ask a number of products."""
    names = bench.data.meta.tasks.get(UNIT, ())
    kinds = {name: KINDS[bench.params.tasks[name].kind] for name in names}
    return [name for name, kind in kinds.items() if kind.shape(0) == () and not kind.is_event]


def lesson(data: Dataset, task: str, split: str) -> Lesson:
    """Raises TriadError: none of its products has a label."""
    rows, label = labelled(data, task, split)
    held = data.units[UNIT]
    return Lesson(held.product_id[rows], said(held, rows), label)


def both(data: Dataset, task: str) -> tuple[Lesson, Lesson]:
    """What to learn from, and what to choose by."""
    return lesson(data, task, "train"), lesson(data, task, "validation")


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


class _PerTask:
    """A member that holds something of each task."""

    held: Mapping[str, Any]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.held)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n,) in the label's unit."""
        wanted = [task for task in self.held if tasks is None or task in tasks]
        products = said(data.units[UNIT], rows) if wanted else []
        return {task: self.held[task].score(products) for task in wanted}


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


@dataclass(frozen=True)
class ProductRidge(_PerTask):
    """`Linear` of each task."""

    held: dict[str, Linear]

    @classmethod
    def make(cls, bench: Bench, name: str) -> ProductRidge:
        """Of train, its penalty chosen on validation."""
        return cls({task: Linear.fit(*both(bench.data, task)) for task in asked_numbers(bench)})

    def refit(self, bench: Bench, name: str) -> ProductRidge:
        """Of all days, with the penalty that was chosen."""
        data = bench.data
        return ProductRidge(
            {t: Linear.fit(lesson(data, t, "train"), None, one.penalty) for t, one in self.held.items()}
        )

    def save(self, folder: Path) -> None:
        """A space and weights a task."""
        for task, one in self.held.items():
            one.space.save(folder / task)
            np.save(folder / task / "weights.npy", one.weights.astype(np.float32), allow_pickle=False)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "chosen.json", {task: one.penalty for task, one in self.held.items()})

    @classmethod
    def load(cls, folder: Path) -> ProductRidge:
        """What `save` wrote."""
        held = {}
        for task, penalty in read_json(folder / "chosen.json").items():
            weights = np.load(folder / task / "weights.npy", allow_pickle=False).astype(np.float64)
            held[task] = Linear(Space.load(folder / task), weights, penalty)
        return cls(held)


@dataclass(frozen=True)
class Known:
    """Train products: what is like one of them may cost the same."""

    space: Space
    key: Texts
    matrix: csr_array
    label: Floats

    @classmethod
    def fit(cls, of: Lesson) -> Known:
        """Of the words of `of`."""
        space = Space.fit(of.products)
        return cls(space, of.key, space.terms(of.products), of.label)

    def nearest(self, products: Sequence[Said], key: Texts | None = None) -> Comparables:
        """Of `products`, none of which is its own comparable."""
        own = np.full(len(products), -1) if key is None else self.key.places(key)
        return Comparables.of(self.matrix, self.label, self.space.terms(products), own)

    def score(self, products: Sequence[Said]) -> Floats:
        return self.nearest(products).mean

    def save(self, folder: Path) -> None:
        """The space, the matrix, keys and labels."""
        self.space.save(folder)
        save_npz(folder / "matrix.npz", self.matrix, compressed=False)
        self.key.save(folder / "key.arrow")
        np.save(folder / "label.npy", self.label, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Known:
        """What `save` wrote."""
        label = np.load(folder / "label.npy", allow_pickle=False)
        matrix = csr_array(load_npz(folder / "matrix.npz"))
        return cls(Space.load(folder), Texts.load(folder / "key.arrow"), matrix, label)


@dataclass(frozen=True)
class NearestProducts(_PerTask):
    """`Known` of each task."""

    held: dict[str, Known]

    @classmethod
    def make(cls, bench: Bench, name: str) -> NearestProducts:
        """Of train."""
        return cls({t: Known.fit(lesson(bench.data, t, "train")) for t in asked_numbers(bench)})

    def refit(self, bench: Bench, name: str) -> NearestProducts:
        """Of all days."""
        return self.make(bench, name)

    def save(self, folder: Path) -> None:
        """A folder a task."""
        folder.mkdir(parents=True, exist_ok=True)
        for task, one in self.held.items():
            one.save(folder / task)
        write_json(folder / "tasks.json", list(self.held))

    @classmethod
    def load(cls, folder: Path) -> NearestProducts:
        """What `save` wrote."""
        return cls({task: Known.load(folder / task) for task in read_json(folder / "tasks.json")})


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


@dataclass(frozen=True)
class CategoryMedian(_PerTask):
    """`Medians` of each task."""

    held: dict[str, Medians]

    @classmethod
    def make(cls, bench: Bench, name: str) -> CategoryMedian:
        """Of train."""
        return cls({t: Medians.fit(lesson(bench.data, t, "train")) for t in asked_numbers(bench)})

    def refit(self, bench: Bench, name: str) -> CategoryMedian:
        """Of all days."""
        return self.make(bench, name)

    def save(self, folder: Path) -> None:
        """One file."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "medians.json", {task: dict(one.at) for task, one in self.held.items()})

    @classmethod
    def load(cls, folder: Path) -> CategoryMedian:
        """What `save` wrote."""
        return cls({task: Medians(at) for task, at in read_json(folder / "medians.json").items()})


def _prefixes(path: str) -> list[str]:
    parts = path.split("/") if path else []
    return ["/".join(parts[: place + 1]) for place in range(len(parts))]
