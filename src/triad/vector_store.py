"""Vectors that are kept between nights by the digest of what they are of.

The store holds digests and vectors, nothing else. It is a cache: whoever deletes it waits for it to be made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from zipfile import BadZipFile

import numpy as np

from triad.arrays import Floats
from triad.artifacts import replacing_file, sweep_files

log = logging.getLogger("triad.vectors")

WIDTH = 16
"""Bytes of a digest."""


def shared(name: str) -> Path:
    """The folder that all nights of a checkout share: an unattended one runs in a workspace of its own."""
    return Path(os.environ.get("TRIAD_CHECKOUT") or "") / ".triad" / name


class VectorStore:
    """In `folder`; None keeps them in memory alone. `known` has each digest's vector (dim,), in half precision."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.known: dict[bytes, Floats] = {}
        if folder is not None:
            sweep_files(folder)
        for file in [] if folder is None else sorted(folder.glob("[!.]*.npz")):
            try:
                with np.load(file, allow_pickle=False) as held:
                    self.known |= dict(zip(map(bytes, held["key"]), held["vector"], strict=True))
            except (BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, zlib.error) as error:
                log.warning("%s is damaged, and its vectors are made again (%s)", file, type(error).__name__)

    def trim(self, pinned: Collection[bytes], most: int) -> None:
        """Once more than `most` are known beside those `pinned`, let go of all those, the oldest first, but half."""
        if len(self.known) - len(pinned) > most:
            loose = [key for key in self.known if key not in pinned]
            for key in loose[: len(loose) - most // 2]:
                del self.known[key]

    def add(self, keys: Sequence[bytes], vectors: Floats) -> None:
        """Keep `vectors` (n, dim) under `keys`, in a file of their own: the same keys write the same file."""
        halved = vectors.astype(np.float16)  # half the room, the same order
        self.known |= dict(zip(keys, halved, strict=True))
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        joined = b"".join(keys)
        name = hashlib.md5(joined).hexdigest()[:16]
        with replacing_file(self._folder / f"{name}.npz") as fresh, fresh.open("wb") as file:
            np.savez(file, key=np.frombuffer(joined, np.uint8).reshape(-1, WIDTH), vector=halved)


class Frozen(Protocol):
    """An encoder that nothing here teaches."""

    fingerprint: str
    """Of all that its vectors depend on."""
    dim: int

    def save(self, folder: Path) -> None:
        """Write all that makes it again."""


Encoder = TypeVar("Encoder", bound=Frozen)


class Encoded(Generic[Encoder]):
    """What an encoder made, each vector once.

    Args:
        store: a folder in which vectors are kept; None keeps them in memory alone.
    """

    def __init__(self, encoder: Encoder, store: Path | None = None) -> None:
        self.encoder = encoder
        self._store = VectorStore(None if store is None else store / encoder.fingerprint)
