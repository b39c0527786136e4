"""`pretrain`: the trunk's size and the source task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section


class TrunkParams(Section):
    """The item tower and the causal Transformer."""

    dim: int = Field(default=48, ge=4)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    max_steps: int = Field(default=64, ge=4, description="interactions read at once")
    dropout: float = Field(default=0.1, ge=0, lt=1)


class PretrainParams(Section):
    """Next interaction over the whole catalogue."""

    trunk: TrunkParams = TrunkParams()
    loss: Literal["sampled_softmax", "gbce", "softmax"] = "sampled_softmax"
    negatives: int = Field(default=256, ge=1, description="shared by a batch")
    batch_streams: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    max_epochs: int = Field(default=30, ge=1)
    patience: int = Field(default=3, ge=1, description="epochs without a better validation loss")
    seed: int = Field(default=1, ge=0)
