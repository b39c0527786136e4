"""Vectors of texts, each text encoded once: kept between nights by the hash of what the text says.

The store holds hashes and vectors, no text. It is a cache: whoever deletes it waits for it to be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.artifacts import replacing_file
from triad.text.encoder import Encoder
from triad.text.masking import masked
from triad.text.terms import plain

STORE = Path(".triad") / "vectors"


class Vectors:
    """Of one encoder.

    Args:
        store: a folder in which vectors are kept; None keeps them in memory alone.
    """

    def __init__(self, encoder: Encoder, store: Path | None = None) -> None:
        self.encoder = encoder
        self._folder = None if store is None else store / encoder.fingerprint
        self._known: dict[bytes, Floats] = {}
        for file in [] if self._folder is None else sorted(self._folder.glob("[!.]*.npz")):
            with np.load(file, allow_pickle=False) as held:
                self._known |= dict(zip(map(bytes, held["key"]), held["vector"], strict=True))

    def of(self, texts: Iterable[str]) -> Floats:
        """(n, dim) float32 vectors of length 1 of `texts`, masked and in plain form. New ones alone cost."""
        read = [plain(masked(text)) for text in texts]
        keys = [hashlib.md5(text.encode()).digest() for text in read]
        fresh = {key: text for key, text in zip(keys, read, strict=True) if key not in self._known}
        if fresh:
            made = self.encoder.encode(list(fresh.values())).astype(np.float16)  # half the room, the same order
            self._known |= dict(zip(fresh, made, strict=True))
            self._keep(list(fresh), made)
        if not keys:
            return np.zeros((0, self.encoder.dim), np.float32)
        return np.stack([self._known[key] for key in keys]).astype(np.float32)

    def _keep(self, keys: list[bytes], vectors: Floats) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.md5(b"".join(keys)).hexdigest()[:16]  # the same texts write the same file
        with replacing_file(self._folder / f"{name}.npz") as fresh, fresh.open("wb") as file:
            np.savez(file, key=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16), vector=vectors)
