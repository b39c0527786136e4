"""Vectors of pictures, each picture encoded once: kept between nights by the digest of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.images.decoding import Fault, decode
from triad.images.encoder import SIZE, Encoder
from triad.vector_store import VectorStore, shared

STORE = shared("pictures")
_AT_ONCE = 512
"""Pictures that are decoded before they are encoded."""


class Vectors:
    """Of one encoder.

    Args:
        store: a folder in which vectors are kept; None keeps them in memory alone.
    """

    def __init__(self, encoder: Encoder, store: Path | None = None) -> None:
        self.encoder = encoder
        self._store = VectorStore(None if store is None else store / encoder.fingerprint)

    def of(self, contents: Sequence[bytes | Fault]) -> tuple[Floats, list[Fault | None]]:
        """(n, dim) float32 vectors of files' bytes, 0 where there is no picture; and (n,) why there is none."""
        vectors, faults = np.zeros((len(contents), self.encoder.dim), np.float32), list[Fault | None]()
        for start in range(0, len(contents), _AT_ONCE):
            part = contents[start : start + _AT_ONCE]
            keys = [b"" if isinstance(each, Fault) else hashlib.md5(each).digest() for each in part]
            decoded = {
                key: decode(content, SIZE)
                for key, content in zip(keys, part, strict=True)
                if not isinstance(content, Fault) and key not in self._store.known
            }
            fresh = {key: each for key, each in decoded.items() if not isinstance(each, Fault)}
            if fresh:
                self._store.add(list(fresh), self.encoder.encode(np.stack(list(fresh.values()))))
            for row, (key, content) in enumerate(zip(keys, part, strict=True), start):
                if key in self._store.known:
                    vectors[row] = self._store.known[key]
                fault = content if isinstance(content, Fault) else decoded.get(key)
                faults.append(fault if isinstance(fault, Fault) else None)
        return vectors, faults
