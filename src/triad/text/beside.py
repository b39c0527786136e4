"""Vectors of a second encoder, beside those of the first: what one reads alike the other may tell apart.

An encoder that was taught at a low temperature, as E5 was (Wang et al. 2024, arXiv:2402.05672), puts all texts into a
narrow cone. So a text is read from the middle of the train texts (Mu and Viswanath 2018, arXiv:1702.01417).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.config.text import TextParams
from triad.text.vectors import Vectors

FOLDER, MIDDLE = "beside", "middle.npy"


@dataclass(frozen=True)
class Beside:
    """A second encoder, and the mean (dim,) of its vectors of train."""

    vectors: Vectors
    middle: Floats

    @classmethod
    def chosen(
        cls, params: TextParams, texts: Sequence[str], corpus: Callable[[], Sequence[str]] | None = None
    ) -> Beside | None:
        """Of the encoder that `text.beside` names, and of the train `texts`; None where it names none."""
        if params.beside is None:
            return None
        vectors = Vectors.chosen(params.model_copy(update={"encoder": params.beside}), corpus)
        assert vectors is not None  # words, which have none, are refused
        return cls(vectors, vectors.of(dict.fromkeys(texts)).mean(axis=0))

    def of(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32 vectors of length 1, from the middle."""
        apart = self.vectors.of(texts) - self.middle
        return np.asarray(apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6))

    def save(self, folder: Path) -> None:
        """The encoder's files and the middle, in a folder of their own."""
        self.vectors.save(folder / FOLDER)
        np.save(folder / FOLDER / MIDDLE, self.middle, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Beside | None:
        """What `save` wrote; None where it was not called."""
        vectors = Vectors.load(folder / FOLDER)
        return None if vectors is None else cls(vectors, np.load(folder / FOLDER / MIDDLE, allow_pickle=False))
