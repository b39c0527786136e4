"""Vectors of pictures, each picture encoded once: kept between nights by the digest of its file.

The store holds digests and vectors, no picture. It is a cache: whoever deletes it waits for it to be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import replacing_file
from triad.images.decoding import Fault, decode
from triad.images.encoder import SIZE, Encoder

STORE = Path(".triad") / "pictures"
_AT_ONCE = 512
"""Pictures that are decoded before they are encoded."""


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

    def of(self, contents: Sequence[bytes | Fault]) -> tuple[Floats, list[Fault | None]]:
        """(n, dim) float32 vectors of files' bytes, 0 where there is no picture; and (n,) why there is none."""
        vectors, faults = np.zeros((len(contents), self.encoder.dim), np.float32), list[Fault | None]()
        for start in range(0, len(contents), _AT_ONCE):
            part = contents[start : start + _AT_ONCE]
            keys = [b"" if isinstance(each, Fault) else hashlib.md5(each).digest() for each in part]
            decoded = {
                key: decode(content, SIZE)
                for key, content in zip(keys, part, strict=True)
                if not isinstance(content, Fault) and key not in self._known
            }
            self._encode({key: each for key, each in decoded.items() if not isinstance(each, Fault)})
            for row, (key, content) in enumerate(zip(keys, part, strict=True), start):
                if key in self._known:
                    vectors[row] = self._known[key]
                fault = content if isinstance(content, Fault) else decoded.get(key)
                faults.append(fault if isinstance(fault, Fault) else None)
        return vectors, faults

    def _encode(self, pictures: dict[bytes, Ints]) -> None:
        if not pictures:
            return
        made = self.encoder.encode(np.stack(list(pictures.values()))).astype(np.float16)  # half the room
        self._known |= dict(zip(pictures, made, strict=True))
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = hashlib.md5(b"".join(pictures)).hexdigest()[:16]  # the same pictures write the same file
            with replacing_file(self._folder / f"{name}.npz") as fresh, fresh.open("wb") as file:
                key = np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, 16)
                np.savez(file, key=key, vector=made)
