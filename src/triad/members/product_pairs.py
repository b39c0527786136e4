"""The member `product_pairs`: what a product costs beside those that are like it, as an appraiser adjusts comparables.

LightGBM (Ke et al. 2017) learns of pairs of known products how much more one costs than the other, from how they
differ: their numbers, what words alone make of either, and how alike they are. A product's price is the mean of what
each of its likest says: its own price and the difference. Of n products there are COUNT · n pairs to learn from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array, hstack, load_npz, save_npz
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import ORDER, lightgbm
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.product_columns import COMPARED, FACTS, GROUPS, Columns
from triad.members.product_numbers import Lesson, PerTask, both, lesson
from triad.members.product_plain import miss
from triad.products import codes
from triad.products.comparables import Comparables
from triad.products.space import Said

MEMBERS = Recipe("product_pairs", "ProductPairs", ("RowScorer",), answers="products")
COUNT = 5
"""Products that each is laid beside. Of eight or sixteen, those that are less alike blur the mean."""
TREES, SEEDS = (150, 300, 600), (1, 2, 3, 4, 5)
"""Tried on validation; forests, whose mean is nearer than one. Trees are chosen with the first."""
SETTINGS = {
    "objective": "regression_l1",
    "learning_rate": 0.08,
    "num_leaves": 63,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "force_row_wise": True,
}
DIRECTIONS, KINDS = 24, 40
"""Main directions of words whose differences are read; commonest attributes that are texts, which may agree."""
_DIAL = "fuse.members", "a list without product_pairs"


@dataclass(frozen=True)
class Side:
    """(n,) products as one side of pairs."""

    table: Floats  # (n, columns) of `Columns`
    values: Ints  # (n, 1 + kinds) hashes of the brand and of attributes that are texts, -1 where nothing is said
    parts: tuple[csr_array, ...]  # words, letters and facts, each row of length 1
    codes: Sequence[tuple[int, ...]]  # trade item numbers

    @classmethod
    def of(cls, products: Sequence[Said], columns: Columns, table: Floats, kinds: Sequence[str]) -> Side:
        """`products`, whose columns are `table`."""
        parts = columns.parts(columns.known.space.matrix(products))
        told = [[each.brand, *map(each.texts.get, kinds)] for each in products]
        hashed = [[-1 if value is None else crc32(value.encode()) for value in each] for each in told]
        values = np.array(hashed, np.int64).reshape(len(products), -1)
        return cls(table, values, parts, [each.codes for each in products])

    @property
    def place(self) -> csr_array:
        """(n, columns), whose products say how alike two products are."""
        *most, facts = self.parts
        return csr_array(hstack([*most, FACTS**0.5 * facts], format="csr"))

    def alike(self, other: Side, rows: Ints) -> list[Floats]:
        """Three times (n,): the cosines with `rows` of `other`, by words, letters and facts."""
        both = zip(self.parts, other.parts, strict=True)
        return [np.asarray(own.multiply(each[rows]).sum(axis=1)) for own, each in both]

    def agree(self, other: Side, rows: Ints) -> Floats:
        """(n, 1 + kinds) whether the same is said of both; NaN where nothing is said of one."""
        one, two = self.values, other.values[rows]
        return np.where((one < 0) | (two < 0), np.nan, one == two)

    def apart(self, other: Side, rows: Ints) -> Floats:
        """(n,) how far their trade item numbers are from those of `rows` of `other`, as `codes.apart` says it."""
        return codes.apart(self.codes, [other.codes[row] for row in rows])


@dataclass(frozen=True)
class Paired:
    """The trees of one task, and the products that others are laid beside."""

    columns: Columns
    known: Side
    boosters: tuple[Any, ...]  # their mean is the answer
    trees: int
    kinds: tuple[str, ...]

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(cls, of: Lesson, later: Lesson | None, like: Paired | None = None) -> Paired:
        """Of `of`; how many trees is chosen on `later`, or as it was for `like`."""
        columns, table = Columns.fit(of)
        counts = Counter(name for each in of.products for name in each.texts)
        kinds = tuple(sorted(counts, key=lambda name: (-counts[name], name))[:KINDS])
        known = Side.of(of.products, columns, table, kinds)
        made = cls(columns, known, (), like.trees if like else max(TREES), kinds)
        near = made._near(made.known, np.arange(len(of.label)))
        pairs, label = made._pairs(made.known, near), (of.label[:, None] - near.label).ravel()
        library = lightgbm(*_DIAL)

        def grown(seed: int) -> Any:
            examples = library.Dataset(pairs, label, feature_name=[f"c{n}" for n in range(pairs.shape[1])])
            return library.train({**ORDER, **SETTINGS, "num_iterations": made.trees, "seed": seed}, examples)

        made = replace(made, boosters=(grown(SEEDS[0]),))
        if like is None and later is not None:
            asked = made._asked(later.products)
            tried = {trees: miss(replace(made, trees=trees)._told(*asked), later.label) for trees in TREES}
            made = replace(made, trees=min(tried, key=lambda trees: tried[trees]))
        return replace(made, boosters=(*made.boosters, *map(grown, SEEDS[1:])))

    def score(self, products: Sequence[Said]) -> Floats:
        if not products:
            return np.zeros(0)
        return self._told(*self._asked(products))

    def _asked(self, products: Sequence[Said]) -> tuple[Comparables, Floats]:
        """Those like `products`, and the pairs."""
        side = Side.of(products, self.columns, self.columns.of(products), self.kinds)
        near = self._near(side, np.full(len(products), -1))
        return near, self._pairs(side, near)

    def _told(self, near: Comparables, pairs: Floats) -> Floats:
        more = np.mean([each.predict(pairs, num_iteration=self.trees) for each in self.boosters], axis=0)
        return np.asarray((near.label + more.reshape(near.label.shape)).mean(axis=1))

    def _near(self, asked: Side, own: Ints) -> Comparables:
        return Comparables.of(self.known.place, self.columns.known.label, asked.place, own, COUNT)

    def _pairs(self, asked: Side, near: Comparables) -> Floats:
        """(n · COUNT, columns) of each product beside those like it, the nearest first."""
        size, count = self.columns.axes.shape[1], near.row.shape[1]
        groups, numbers = slice(size, size + 1 + len(GROUPS)), slice(size + 1 + len(GROUPS) + COMPARED, None)
        first = numbers.start - codes.WIDTH
        coded = slice(first, first + 2)  # what those numbered next to it cost
        parts = []
        for place in range(count):
            rows, label = near.row[:, place], near.label[:, place]
            one, other, steps = asked.table, self.known.table[rows], min(DIRECTIONS, size)
            columns = [*asked.alike(self.known, rows), np.full(len(rows), place), label]
            columns += [one[:, groups], other[:, groups], one[:, size] - other[:, size], label - other[:, size]]
            columns += [label[:, None] - one[:, coded], asked.apart(self.known, rows)]
            columns += [one[:, :size], one[:, :steps] - other[:, :steps]]
            columns += [_scaled(one[:, numbers]) - _scaled(other[:, numbers]), one[:, groups.stop :]]
            columns += [asked.agree(self.known, rows)]
            parts.append(np.column_stack(columns).astype(np.float32))
        return np.stack(parts, axis=1).reshape(len(near.row) * count, -1)

    def save(self, folder: Path) -> None:
        """Arrays, and the trees as LightGBM's text."""
        self.columns.save(folder)
        np.save(folder / "table.npy", self.known.table, allow_pickle=False)
        np.save(folder / "values.npy", self.known.values, allow_pickle=False)
        save_npz(folder / "facts.npz", self.known.parts[-1], compressed=False)
        for number, each in enumerate(self.boosters):
            (folder / f"trees{number}.txt").write_text(each.model_to_string(self.trees), encoding="utf-8")
        write_json(folder / "paired.json", {"trees": self.trees, "kinds": self.kinds})

    @classmethod
    def load(cls, folder: Path) -> Paired:
        """What `save` wrote."""
        columns, library = Columns.load(folder), lightgbm(*_DIAL)
        parts = columns.known.matrix, columns.known.called, csr_array(load_npz(folder / "facts.npz"))
        table, values = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("table", "values"))
        files = sorted(folder.glob("trees*.txt"))
        boosters = tuple(library.Booster(model_str=file.read_text(encoding="utf-8")) for file in files)
        told = read_json(folder / "paired.json")
        known = Side(table, values, parts, columns.coded.each(len(table)))
        return cls(columns, known, boosters, told["trees"], tuple(told["kinds"]))


def _scaled(numbers: Floats) -> Floats:
    """On a scale on which a difference is a share."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))


class ProductPairs(PerTask[Paired]):
    """`Paired` of each task."""

    of = Paired

    @classmethod
    def fit(cls, data: Dataset, task: str, former: Paired | None) -> Paired:
        """Trees are chosen on validation."""
        return (
            Paired.fit(*both(data, task)) if former is None else Paired.fit(lesson(data, task, "train"), None, former)
        )
