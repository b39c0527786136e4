"""Products as columns: the words' main directions (latent semantic analysis, Deerwester et al. 1990), a linear guess,
what category and brand usually cost, comparables, and attributes that are numbers.

Of a product that was learned from, columns leave out what the product's own label says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from triad.arrays import Floats
from triad.artifacts import read_json, write_json
from triad.members.product_numbers import Lesson
from triad.members.product_plain import Known, line, ridge
from triad.products.space import Said
from triad.texts import Texts

DIRECTIONS, FOLDS, PENALTY, SHRINK = 48, 5, 1.0, 5
LIKE, WORDS = "products like it", "its words"
GROUPS = ("category", "brand")


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
class Columns:
    """What columns are made of, fitted on train products."""

    known: Known
    axes: Floats  # (columns of the space, directions)
    weights: Floats  # of the linear guess
    usual: Usual

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(cls, of: Lesson) -> tuple[Columns, Floats]:
        """And those of the products of `of` themselves (n, columns), by guesses out of fold."""
        known = Known.fit(of)
        matrix, count = known.space.matrix(of.products), len(of.label)
        size = min(DIRECTIONS, count - 1, matrix.shape[1] - 1)
        axes = TruncatedSVD(size, random_state=1, n_iter=3).fit(matrix).components_.T.astype(np.float32)
        made = cls(known, axes, ridge(matrix, of.label, PENALTY), Usual.fit(of.products, of.label))
        guesses: Floats = np.zeros((count, 1 + len(GROUPS)))
        fold = np.arange(count) % FOLDS
        for k in range(FOLDS):  # what a train product's own label is in would give it away
            out, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            rest, label = [of.products[row] for row in out], of.label[out]
            part = replace(made, weights=ridge(matrix[out], label, PENALTY), usual=Usual.fit(rest, label))
            guesses[held] = part._guesses([of.products[row] for row in held], matrix[held])
        return made, made._columns(of.products, matrix, guesses, known.key)

    @property
    def names(self) -> list[str]:
        """What each column is about, in words."""
        groups = [f"its {name}" for name in GROUPS]
        return [WORDS] * (self.axes.shape[1] + 1) + groups + [LIKE] * 8 + list(self.known.space.names)

    def of(self, products: Sequence[Said]) -> Floats:
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

    def save(self, folder: Path) -> None:
        """Arrays, and what groups cost."""
        self.known.save(folder)
        np.save(folder / "axes.npy", self.axes, allow_pickle=False)
        np.save(folder / "weights.npy", self.weights, allow_pickle=False)
        write_json(folder / "usual.json", asdict(self.usual))

    @classmethod
    def load(cls, folder: Path) -> Columns:
        """What `save` wrote."""
        axes, weights = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("axes", "weights"))
        return cls(Known.load(folder), axes, weights, Usual(**read_json(folder / "usual.json")))
