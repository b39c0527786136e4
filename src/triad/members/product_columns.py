"""Products as columns: the words' main directions (latent semantic analysis, Deerwester et al. 1990), a linear guess,
what category and brand usually cost, comparables, products whose trade item numbers (GTIN) are next to its own, and
attributes that are numbers.

Comparables are the products most alike by words, by letters, and by what prices follow: there a term counts by how
far it moves the linear guess.

Of a product that was learned from, columns leave out what the product's own label says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, diags_array, hstack, load_npz, save_npz
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.members.product_numbers import Lesson
from triad.members.product_plain import Known, line, ridge
from triad.products import codes
from triad.products.codes import Numbered
from triad.products.comparables import Comparables
from triad.products.space import Said
from triad.texts import Texts

DIRECTIONS, FOLDS, PENALTY, SHRINK = 48, 5, 1.0, 5
FACTS, LEAST = 0.5, 0.1
"""In likeness: how much whole attribute values count beside words and letters; what a term that moves no price counts,
in shares of the mean term."""
LIKE, WORDS, CODED = "products like it", "its words", "products numbered next to it"
GROUPS = ("category", "brand")
COMPARED = 12 + codes.WIDTH
"""Columns of comparables, and of products by their trade item numbers."""


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
    telling: csr_array  # the known products by what prices follow, as `tell` gives them
    coded: Numbered

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(cls, of: Lesson) -> tuple[Columns, Floats]:
        """And those of the products of `of` themselves (n, columns), by guesses out of fold."""
        known = Known.fit(of)
        matrix, count = known.space.matrix(of.products), len(of.label)
        size = min(DIRECTIONS, count - 1, matrix.shape[1] - 1)
        axes = TruncatedSVD(size, random_state=1, n_iter=3).fit(matrix).components_.T.astype(np.float32)
        coded = Numbered.of([each.codes for each in of.products])
        made = cls(known, axes, np.zeros(0), Usual.fit(of.products, of.label), matrix, coded)
        made = made._led(ridge(matrix, of.label, PENALTY), matrix)
        guesses: Floats = np.zeros((count, 1 + len(GROUPS) + 4))
        fold = np.arange(count) % FOLDS
        for k in range(FOLDS):  # what a train product's own label is in would give it away
            out, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            rest, label = [of.products[row] for row in out], of.label[out]
            part = replace(made, usual=Usual.fit(rest, label))._led(ridge(matrix[out], label, PENALTY), matrix)
            guesses[held] = part._guesses([of.products[row] for row in held], matrix[held], held)
        return made, made._columns(of.products, matrix, guesses, known.key)

    @property
    def names(self) -> list[str]:
        """What each column is about, in words."""
        groups, near = [f"its {name}" for name in GROUPS], [LIKE] * 12 + [CODED] * codes.WIDTH
        return [WORDS] * (self.axes.shape[1] + 1) + groups + near + list(self.known.space.names)

    def of(self, products: Sequence[Said]) -> Floats:
        """(n, columns) of products that were not learned from."""
        matrix = self.known.space.matrix(products)
        return self._columns(products, matrix, self._guesses(products, matrix, np.full(len(products), -1)))

    def parts(self, matrix: csr_array) -> tuple[csr_array, ...]:
        """Words, letters and facts of `matrix`, a row of the space each."""
        first, second = np.cumsum([self.known.matrix.shape[1], self.known.called.shape[1]])
        return tuple(map(csr_array, (matrix[:, :first], matrix[:, first:second], matrix[:, second:])))

    def tell(self, matrix: csr_array) -> csr_array:
        """(n, columns) of `matrix`, each term by how far it moves the linear guess; the parts of length 1 again."""
        moved = np.abs(self.weights[:-1])
        terms = csr_array(matrix @ diags_array(moved / max(moved.mean(), 1e-12) + LEAST))
        *most, facts = (normalize(each) if each.shape[1] else each for each in self.parts(terms))
        return csr_array(hstack([*most, FACTS**0.5 * facts], format="csr"))

    def _led(self, weights: Floats, matrix: csr_array) -> Columns:
        """By other weights of the linear guess; `matrix` is the known products."""
        led = replace(self, weights=weights)
        return replace(led, telling=led.tell(matrix))

    def _columns(
        self, products: Sequence[Said], matrix: csr_array, guesses: Floats, key: Texts | None = None
    ) -> Floats:
        near = [each(products, key).columns for each in (self.known.nearest, self.known.nearest_called)]
        own = self.known.own(products, key)
        near.append(self.coded.columns([each.codes for each in products], own, self.known.label))
        numbers = self.known.space.numbers(products)
        return np.column_stack([matrix @ self.axes, guesses, *near, numbers]).astype(np.float32)

    def _guesses(self, products: Sequence[Said], matrix: csr_array, own: Ints) -> Floats:
        """(n, 1 + groups + 4) by words, by category, by brand, and by products alike in what prices follow.

        Args:
            own: (n,) which known product each is itself; -1 for none.
        """
        near = Comparables.of(self.telling, self.known.label, self.tell(matrix), own)
        return np.column_stack([line(matrix, self.weights), self.usual.of(products), near.columns])

    def save(self, folder: Path) -> None:
        """Arrays, and what groups cost."""
        self.known.save(folder)
        np.save(folder / "axes.npy", self.axes, allow_pickle=False)
        np.save(folder / "weights.npy", self.weights, allow_pickle=False)
        save_npz(folder / "telling.npz", self.telling, compressed=False)
        self.coded.save(folder)
        write_json(folder / "usual.json", asdict(self.usual))

    @classmethod
    def load(cls, folder: Path) -> Columns:
        """What `save` wrote."""
        axes, weights = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("axes", "weights"))
        usual, telling = Usual(**read_json(folder / "usual.json")), csr_array(load_npz(folder / "telling.npz"))
        return cls(Known.load(folder), axes, weights, usual, telling, Numbered.load(folder))
