"""Vectors of texts, each text encoded once: kept between nights by the digest of what the text says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.text.encoder import Encoder
from triad.text.masking import masked
from triad.text.terms import plain
from triad.vector_store import VectorStore

STORE = Path(".triad") / "vectors"


class Vectors:
    """Of one encoder.

    Args:
        store: a folder in which vectors are kept; None keeps them in memory alone.
    """

    def __init__(self, encoder: Encoder, store: Path | None = None) -> None:
        self.encoder = encoder
        self._store = VectorStore(None if store is None else store / encoder.fingerprint)

    def of(self, texts: Iterable[str]) -> Floats:
        """(n, dim) float32 vectors of length 1 of `texts`, masked and in plain form. New ones alone cost."""
        read = [plain(masked(text)) for text in texts]
        keys = [hashlib.md5(text.encode()).digest() for text in read]
        fresh = {key: text for key, text in zip(keys, read, strict=True) if key not in self._store.known}
        if fresh:
            self._store.add(list(fresh), self.encoder.encode(list(fresh.values())))
        if not keys:
            return np.zeros((0, self.encoder.dim), np.float32)
        return np.stack([self._store.known[key] for key in keys]).astype(np.float32)
