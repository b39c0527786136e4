"""Vectors of pictures, each picture encoded once: kept between nights by the digest of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from triad.arrays import Bools, Floats
from triad.images.decoding import Fault, decode
from triad.images.encoder import SIZE, Encoder
from triad.vector_store import Encoded, shared

STORE = shared("pictures")
_AT_ONCE = 512
"""Pictures that are decoded before they are encoded."""


class Vectors(Encoded[Encoder]):
    """Of pictures."""

    def of(
        self, contents: Sequence[bytes | Fault], *, is_kept: Bools | None = None
    ) -> tuple[Floats, list[Fault | None]]:
        """(n, dim) float32 vectors of files' bytes, 0 where there is no picture; and (n,) why there is none.

        Args:
            is_kept: (n,) whether a vector may be kept; None: all. What a request sends is not.
        """
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
            made = dict[bytes, Floats]()
            if fresh:
                made = dict(zip(fresh, self.encoder.encode(np.stack(list(fresh.values()))), strict=True))
                own = keys if is_kept is None else [key for key, k in zip(keys, is_kept[start:], strict=False) if k]
                if kept := [key for key in made if key in set(own)]:
                    self._store.add(kept, np.stack([made[key] for key in kept]))
            for row, (key, content) in enumerate(zip(keys, part, strict=True), start):
                if (vector := self._store.known.get(key, made.get(key))) is not None:
                    vectors[row] = vector.astype(np.float16)  # as what is kept
                fault = content if isinstance(content, Fault) else decoded.get(key)
                faults.append(fault if isinstance(fault, Fault) else None)
        return vectors, faults
