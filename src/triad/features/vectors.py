"""What items say and show, as vectors of frozen encoders. They go along with the state, as do vectors known.

So an item first seen when a model serves has its own, and no other needs its text encoded or its picture read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.artifacts import read_json, write_json
from triad.config.images import COLOURS, ImagesParams
from triad.config.text import TextParams
from triad.features.dataset import VECTORS, Items
from triad.text.terms import plain
from triad.vector_store import VectorStore

if TYPE_CHECKING:
    import duckdb

    from triad.images.vectors import Vectors as PictureVectors
    from triad.text.vectors import Vectors as TextVectors

MOST = 384
"""Numbers of a vector that networks read; of a wider one, as many random directions (Johnson, Lindenstrauss 1984)."""
TEXT, PICTURES, KNOWN = "text", "pictures", "known"
"""Folders."""


@dataclass(frozen=True)
class Pictures:
    """Vectors of pictures by the path that names them: where a model serves, its pictures need not lie.

    Args:
        folder: below which paths lead; None: only pictures that tables hold themselves are read.
        known: vectors by the digest of the path.
    """

    vectors: PictureVectors
    folder: str | None
    known: VectorStore

    def of(self, paths: Sequence[str]) -> Floats:
        """(n, dim) float32, zeros where there is no picture."""
        from triad.images.files import read

        keys = [hashlib.md5(path.encode()).digest() for path in paths]
        fresh = {key: path for key, path in zip(keys, paths, strict=True) if path and key not in self.known.known}
        vectors, _ = self.vectors.of([read(self.folder, path) for path in fresh.values()])
        there = [row for row, vector in enumerate(vectors) if vector.any()]
        if there:
            self.known.add([list(fresh)[row] for row in there], vectors[there])
        none = np.zeros(self.vectors.encoder.dim, np.float32)
        return np.stack([self.known.known.get(key, none) for key in keys]).astype(np.float32)


@dataclass(frozen=True)
class ItemVectors:
    """The encoders of a state."""

    text: TextVectors | None
    pictures: Pictures | None

    @classmethod
    def chosen(
        cls, names: Sequence[str], text: TextParams, images: ImagesParams, corpus: Callable[[], Sequence[str]]
    ) -> ItemVectors | None:
        """Of what `names` lists (`features.item_vectors`); None of nothing.

        Args:
            corpus: the shop's texts, which an encoder from scratch learns from.

        Raises:
            TriadError: an encoder's files are not there.
        """
        if not names:
            return None
        texts, pictures = None, None
        if "text" in names:
            from triad.text.vectors import Vectors

            texts = Vectors.chosen(text, corpus)
        if "image" in names:
            from triad.images.encoder import encoder_of
            from triad.images.vectors import STORE
            from triad.images.vectors import Vectors as PictureVectors

            pictures = Pictures(PictureVectors(encoder_of(images.encoder), STORE), images.folder, VectorStore(None))
        return cls(texts, pictures)

    @property
    def meaning(self) -> dict[str, str]:
        """Of what → its encoder's fingerprint."""
        encoders: dict[str, Any] = {
            "text": self.text and self.text.encoder,
            "image": self.pictures and self.pictures.vectors.encoder,
        }
        return {name: encoder.fingerprint for name, encoder in encoders.items() if encoder is not None}

    def beside(self, items: Items, session: duckdb.DuckDBPyConnection) -> Items:
        """`items` with their vectors; `session` has the table they are of."""
        vectors = {}
        if self.text is not None:
            texts = said(session)
            there = [row for row, text in enumerate(texts) if plain(text)]
            vectors["text"] = np.zeros((len(texts), self.text.encoder.dim), np.float32)
            vectors["text"][there] = self.text.of([texts[row] for row in there], goes_along=True)
        if self.pictures is not None:
            vectors["image"] = self.pictures.of(_column(session, "image_path"))
        arrays: dict[str, Any] = {VECTORS[name]: _narrow(each).astype(np.float16) for name, each in vectors.items()}
        return replace(items, **arrays)

    def save(self, folder: Path) -> None:
        """The encoders' files and the vectors that are known."""
        if self.text is not None:
            self.text.save(folder / TEXT)
        if self.pictures is not None:
            self.pictures.vectors.encoder.save(folder / PICTURES)
            write_json(folder / PICTURES / "folder.json", self.pictures.folder)
            if known := self.pictures.known.known:
                keys = sorted(known)
                VectorStore(folder / PICTURES / KNOWN).add(keys, np.stack([known[key] for key in keys]))

    @classmethod
    def load(cls, folder: Path) -> ItemVectors | None:
        """What `save` wrote; None where it was not called."""
        if not folder.is_dir():
            return None
        texts, pictures = None, None
        if (folder / TEXT).is_dir():
            from triad.text.vectors import Vectors

            texts = Vectors.load(folder / TEXT)
        if (folder / PICTURES).is_dir():
            from triad.images.encoder import FILE, encoder_of
            from triad.images.vectors import Vectors as PictureVectors

            weights, known = folder / PICTURES / FILE, VectorStore(None)
            known.known |= VectorStore(folder / PICTURES / KNOWN).known
            encoder = encoder_of(str(weights) if weights.is_file() else COLOURS)
            pictures = Pictures(PictureVectors(encoder), read_json(folder / PICTURES / "folder.json"), known)
        return cls(texts, pictures)


def said(session: duckdb.DuckDBPyConnection) -> list[str]:
    """(n_items,) title and description of each item, in the order of catalogue rows; "" where nothing is said."""
    parts = zip(_column(session, "title"), _column(session, "description"), strict=True)
    return [" . ".join(part for part in each if part) for each in parts]


def _column(session: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    there = {row[0] for row in session.execute("DESCRIBE items").fetchall()}  # a request may leave out what may be null
    if name not in there:
        name = "NULL"
    return [row[0] for row in session.execute(f"SELECT coalesce({name}, '') FROM items ORDER BY item_id").fetchall()]


def _narrow(vectors: Floats) -> Floats:
    width = vectors.shape[1]
    if width <= MOST:
        return vectors
    directions = np.random.default_rng(width).normal(0, MOST**-0.5, (width, MOST)).astype(np.float32)
    return np.asarray(vectors @ directions)
