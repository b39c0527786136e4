"""Logistic regression on what a product's title and description say and its picture shows: `product_linear`.

It reads neither category nor brand nor attributes: these are what it is asked for, and what it checks in a catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array, hstack

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.images import COLOURS
from triad.config.members import Recipe
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.examples.products import Products
from triad.features.corpus import corpus
from triad.images.encoder import FILE, encoder_of
from triad.images.files import read
from triad.images.vectors import STORE, Vectors
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.text_linear import TextLinear
from triad.members.texts import Space, TextSpace
from triad.tasks import LABELS
from triad.text import vectors as texts
from triad.text.bags import Bag
from triad.text.terms import plain

UNIT = "products"
PICTURES = "pictures"
MEMBERS = Recipe(
    "product_linear", "ProductLinear", ("RowScorer",), reads=("tasks", "text", "images"), answers="products"
)


@dataclass(frozen=True)
class ProductSpace:
    """Where a product lies: its words, its picture's vector, and whether it has a picture.

    Args:
        folder: below which its pictures lie; None: only those that tables hold themselves are read.
    """

    words: TextSpace
    pictures: Vectors
    folder: str | None

    @classmethod
    def fit(cls, bench: Bench, kinds: Sequence[str], *, with_vectors: bool = True) -> ProductSpace:
        """Of the train rows; a shop whose tasks ask for no products has none."""
        data, images = bench.data, bench.params.images
        vectors = texts.Vectors.chosen(bench.params.text, partial(corpus, bench.data)) if with_vectors else None
        said = _said(data.units[UNIT], data.rows("train", UNIT)) if UNIT in data.units else []
        bag = Bag.fit(said, kinds)
        words = TextSpace(bag, vectors)
        return cls(words, Vectors(encoder_of(images.encoder), STORE), images.folder)

    def tasks(self, data: Dataset, tasks: Mapping[str, TaskParams]) -> list[str]:
        """Those of products whose answer is a class."""
        own = [name for name, task in tasks.items() if LABELS[task.label].unit == UNIT] if UNIT in data.units else []
        return [name for name in own if KINDS[tasks[name].kind].has_classes]

    def matrix(self, data: Dataset, task: str, rows: Ints) -> csr_array:
        """(n, columns) of `rows`."""
        return csr_array(hstack([self.said(data, rows), *self.seen(data, rows)], format="csr"))

    def said(self, data: Dataset, rows: Ints) -> csr_array:
        """(n, columns) of the words of `rows`."""
        return self.words.of(_said(data.units[UNIT], rows) if len(rows) else [])

    def seen(self, data: Dataset, rows: Ints) -> tuple[Floats, Floats]:
        """(n, dim) vectors of the pictures of `rows`, and (n, 1) whether there is one."""
        products: Products = data.units[UNIT]
        paths = products.image_path[np.asarray(rows)].tolist()
        contents, of_shop = [read(self.folder, path) for path in paths], products.item[np.asarray(rows)] >= 0
        vectors, faults = self.pictures.of(contents, is_kept=of_shop)
        return vectors, np.array([[fault is None] for fault in faults], np.float32).reshape(-1, 1)

    def save(self, folder: Path) -> None:
        """The words, and the encoders' files."""
        self.words.save(folder)
        self.pictures.encoder.save(folder / PICTURES)
        write_json(folder / "pictures.json", {"folder": self.folder})

    @classmethod
    def load(cls, folder: Path) -> ProductSpace:
        """What `save` wrote."""
        weights = folder / PICTURES / FILE
        encoder = encoder_of(str(weights) if weights.is_file() else COLOURS)
        words = TextSpace.load(folder)
        return cls(words, Vectors(encoder, STORE), read_json(folder / "pictures.json")["folder"])


def _said(products: Products, rows: Ints) -> list[str]:
    parts = products.title[np.asarray(rows)], products.description[np.asarray(rows)]
    return [plain(f"{title} {text}") for title, text in zip(*parts, strict=True)]


class ProductLinear(TextLinear):
    """Coefficients of each task, in the space of products."""

    strengths: ClassVar[Sequence[float]] = (3.0, 30.0, 300.0)
    space_of: ClassVar[type[Space]] = ProductSpace
