"""Vectors of texts, each text encoded once: kept between nights by the digest of what the text says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.config.text import TextParams
from triad.text.encoder import Encoder, encoder_of
from triad.text.masking import masked
from triad.text.terms import plain
from triad.vector_store import Encoded, VectorStore, shared

STORE = shared("vectors")
ENCODER, KNOWN = "encoder", "vectors"
"""Folders of a model."""
SERVED = 100_000
"""Vectors, beside those of the model, that a model which serves keeps in memory: customers type new texts all day."""


class Vectors(Encoded[Encoder]):
    """Of texts."""

    def __init__(self, encoder: Encoder, store: Path | None = None) -> None:
        super().__init__(encoder, store)
        self._along = set[bytes]()
        self._serves = False

    @classmethod
    def chosen(cls, params: TextParams, corpus: Callable[[], Sequence[str]] | None = None) -> Vectors | None:
        """Of the encoder that `params` choose (`encoder_of`), kept between nights; None where words alone are read."""
        encoder = encoder_of(params, corpus)
        return None if encoder is None else cls(encoder, STORE)

    def of(self, texts: Iterable[str], *, goes_along: bool = False) -> Floats:
        """(n, dim) float32 vectors of length 1 of `texts`, masked and in plain form. New ones alone cost.

        Args:
            goes_along: whether `save` writes them, so that what serves need not encode them again.
        """
        read = [plain(masked(text)) for text in texts]
        keys = [hashlib.md5(text.encode()).digest() for text in read]
        fresh = {key: text for key, text in zip(keys, read, strict=True) if key not in self._store.known}
        if fresh:
            self._store.add(list(fresh), self.encoder.encode(list(fresh.values())))
        if goes_along:
            self._along.update(keys)
        if not keys:
            return np.zeros((0, self.encoder.dim), np.float32)
        vectors = np.stack([self._store.known[key] for key in keys]).astype(np.float32)
        if self._serves:
            self._store.trim(self._along, SERVED)
        return vectors

    def save(self, folder: Path) -> None:
        """The encoder's files, and the vectors that go along."""
        self.encoder.save(folder / ENCODER)
        if keys := sorted(self._along):
            VectorStore(folder / KNOWN).add(keys, np.stack([self._store.known[key] for key in keys]))

    @classmethod
    def load(cls, folder: Path) -> Vectors | None:
        """What `save` wrote, kept in memory; None where it was not called."""
        if not (folder / ENCODER).is_dir():
            return None
        encoder = encoder_of(TextParams(encoder=str(folder / ENCODER)))
        assert encoder is not None
        made = cls(encoder)
        made._store.known |= VectorStore(folder / KNOWN).known
        made._along |= made._store.known.keys()
        made._serves = True
        return made
