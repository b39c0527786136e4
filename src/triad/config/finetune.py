"""`finetune`: heads, experts, loss weighting."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section


class FinetuneParams(Section):
    """Multi-task training on exposures."""

    init: Literal["pretrain", "scratch", "champion"] = Field(
        default="pretrain", description="champion: of champion.version; where that is null, from pretrain"
    )
    body: Literal["mmoe", "shared_bottom"] = "mmoe"
    experts: int = Field(default=4, ge=1)
    expert_dim: int = Field(default=64, ge=1)
    head_dim: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1, description="of what reaches a task's tower; the trunk has its own")
    weighting: Literal["fixed", "uncertainty"] = "uncertainty"
    batch_exposures: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=7e-4, gt=0)
    trunk_rate: float = Field(default=0.1, ge=0, le=1, description="share of it that a pretrained trunk learns with")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled, of all weights but biases, norms and λ")
    max_epochs: int = Field(default=6, ge=1)
    warm_epochs: int = Field(default=2, ge=1, description="max_epochs of a start from the champion")
    warm_rate: float = Field(default=0.3, gt=0, le=1, description="share of learning_rate of a start from the champion")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation loss")
    checkpoint_steps: int = Field(default=200, ge=1, description="steps between checkpoints a killed run resumes from")
    seed: int = Field(default=1, ge=0)
