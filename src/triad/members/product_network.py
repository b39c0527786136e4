"""One network that learns all classes of products from their words and pictures: `product_network`.

A head a class on a shared layer; `images.transfer` says how much of the pictures' network learns (`images/taught.py`,
`images/deep.py`). Like `product_linear`, which stands beside it, it reads neither category nor brand nor attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.images import COLOURS, DEEP
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.images.deep import Deep
from triad.images.encoder import FILE, Encoder, encoder_of
from triad.images.taught import Heads, Side
from triad.images.vectors import STORE, Vectors
from triad.members.bench import Bench
from triad.members.product_linear import PICTURES, UNIT, ProductSpace

MEMBERS = Recipe(
    "product_network", "ProductNetwork", ("RowScorer",), reads=("tasks", "text", "images"), answers="products"
)
DIRECTIONS = 128
"""Of words that are read: their main directions (latent semantic analysis, Deerwester et al. 1990)."""


@dataclass(frozen=True)
class ProductNetwork:
    """The heads, and where a product lies that they read."""

    space: ProductSpace
    axes: Floats  # (columns of words, directions)
    transfer: str
    heads: Heads | Deep | None  # None: no class is asked of products
    asked: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.asked

    @classmethod
    def make(cls, bench: Bench, name: str) -> ProductNetwork:
        """Of train. Nothing is chosen on validation, but how much a deep network counts."""
        return cls._learned(bench, None)

    def refit(self, bench: Bench, name: str) -> ProductNetwork:
        """Anew on all days, for as many epochs; a deep network counts as much, or is left out."""
        return self._learned(bench, self.heads.share if isinstance(self.heads, Deep) else None)

    @classmethod
    def _learned(cls, bench: Bench, share: Mapping[str, float] | None) -> ProductNetwork:
        data, images = bench.data, bench.params.images
        space = ProductSpace.fit(bench, ("words", "letters"))
        pictures = Vectors(encoder_of(images.encoder, images.transfer), STORE)
        space = replace(space, pictures=pictures)
        asked = tuple(space.tasks(data, bench.params.tasks))
        rows = data.rows("train", UNIT) if asked else np.zeros(0, np.int64)
        words = space.said(data, rows)
        made = cls(space, _axes(words), images.transfer, None, asked)
        if not asked:
            return made
        classes = {task: len(data.meta.classes[task]) for task in asked}
        weights = getattr(pictures.encoder, "path", None)
        side, labels = made._side(data, rows, words), made._labels(data, rows)
        if images.transfer != DEEP:
            return replace(made, heads=Heads.fit(side, labels, classes, images.transfer, weights=weights))
        deep = Deep.fit(side, labels, classes, share, weights=Path(str(weights)))
        if share is None:
            later = data.rows("validation", UNIT)
            deep = deep.weighed(made._side(data, later, space.said(data, later)), made._labels(data, later))
        return replace(made, heads=deep)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        wanted = [task for task in self.asked if tasks is None or task in tasks]
        if not wanted or self.heads is None:
            return {}
        scores = self.heads.predict(self._side(data, np.asarray(rows), self.space.said(data, rows)))
        return {task: scores[task] for task in wanted}

    def _labels(self, data: Dataset, rows: Ints) -> dict[str, Floats]:
        return {task: np.asarray(data.labels(task)[rows], np.float64) for task in self.asked}

    def _side(self, data: Dataset, rows: Ints, words: csr_array) -> Side:
        """What the network reads of `rows`: words, vector, whether there is a picture; and the map of the picture."""
        seen, there = self.space.seen(data, rows)
        shape = self.space.pictures.encoder.maps
        size = int(np.prod(shape)) if shape else 0
        vector, maps = np.split(seen, [seen.shape[1] - size], axis=1)
        known = np.concatenate([words @ self.axes, vector, there], axis=1).astype(np.float32)
        return Side(known, maps.reshape(-1, *shape).astype(np.float16) if shape else None)

    def save(self, folder: Path) -> None:
        """Words, encoders, axes and the network."""
        self.space.save(folder)
        np.save(folder / "axes.npy", self.axes, allow_pickle=False)
        write_json(folder / "network.json", {"tasks": list(self.asked), "transfer": self.transfer})
        if self.heads is not None:
            self.heads.save(folder)

    @classmethod
    def load(cls, folder: Path) -> ProductNetwork:
        """What `save` wrote."""
        told, space = read_json(folder / "network.json"), ProductSpace.load(folder)
        space = replace(space, pictures=Vectors(_encoder(folder / PICTURES / FILE, told["transfer"]), STORE))
        learner = Deep if told["transfer"] == DEEP else Heads
        heads = learner.load(folder) if told["tasks"] else None
        axes = np.load(folder / "axes.npy", allow_pickle=False)
        return cls(space, axes, told["transfer"], heads, tuple(told["tasks"]))


def _encoder(weights: Path, transfer: str) -> Encoder:
    return encoder_of(str(weights) if weights.is_file() else COLOURS, transfer)


def _axes(words: csr_array) -> Floats:
    """(columns, directions)."""
    size = min(DIRECTIONS, words.shape[0] - 1, words.shape[1] - 1)
    if size < 1:
        return np.zeros((words.shape[1], 1), np.float32)
    return np.asarray(TruncatedSVD(size, random_state=1, n_iter=3).fit(words).components_.T, np.float32)
