"""`finetune`: heads, experts, loss weighting."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from triad.config.base import Section


class FinetuneParams(Section):
    """Multi-task training on exposures."""

    init: Literal["pretrain", "scratch", "champion", "market"] = Field(
        default="pretrain",
        description="champion: of champion.version, where that is null from pretrain; market: of champion.market",
    )
    source_gate: bool = Field(
        default=False, description="also learn from nothing, and keep that where the source is not shown to help"
    )
    tasks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="pointwise tasks that this network learns, null: all; one alone is its single-task twin",
    )
    body: Literal["single_task", "shared_bottom", "mmoe", "ple", "aitm", "stem"] = "mmoe"
    levels: int = Field(default=2, ge=1, description="of ple; with one it is CGC")
    experts: int = Field(default=4, ge=1, description="that all tasks hear, of mmoe, ple and stem")
    own_experts: int = Field(default=1, ge=1, description="that belong to one task, of ple and stem")
    expert_dim: int = Field(default=64, ge=1)
    head_dim: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1, description="of what reaches a task's tower; the trunk has its own")
    weighting: Literal["fixed", "uncertainty", "dwa", "famo", "gradnorm", "pcgrad", "cagrad"] = "uncertainty"
    counterfactual: Literal["none", "ips", "dr"] = Field(
        default="none", description="ESCM²: also learn a task with `given` where that happened, as if it had everywhere"
    )
    counterfactual_weight: float = Field(default=0.1, gt=0, description="of that in the task's loss")
    match_start: float = Field(
        default=0,
        ge=0,
        description="weight of a user's match with an item, of a binary task, before anything is learned; "
        "above 0 a log whose context tells no leanings is learned from far sooner",
    )
    batch_exposures: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=7e-4, gt=0)
    transfer: Literal["full", "frozen", "gradual", "delta"] = Field(
        default="full", description="what a trunk that has learned before may still learn; see training/transfer.py"
    )
    trunk_rate: float = Field(default=0.1, ge=0, le=1, description="full: share of the rate that such a trunk gets")
    layer_rate: float = Field(default=0.38, gt=0, le=1, description="gradual: a layer's share of the rate above it")
    delta_rank: int = Field(default=4, ge=1, description="delta: rank of what is added to a matrix")
    delta_rate: float = Field(default=1.0, gt=0, description="delta: share of the rate that its factors learn with")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled, of all weights but biases, norms and λ")
    max_epochs: int = Field(default=6, ge=1)
    warm_epochs: int = Field(default=2, ge=1, description="max_epochs of a start from the champion")
    warm_rate: float = Field(default=0.3, gt=0, le=1, description="share of learning_rate from champion or market")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation loss")
    checkpoint_steps: int = Field(default=200, ge=1, description="steps between checkpoints a killed run resumes from")
    seed: int = Field(default=1, ge=0)

    def at_share(self, share: float) -> FinetuneParams:
        """For a share of the train rows: more epochs of smaller batches, or few rows would hardly be learned from.

        With a hundredth of the rows a batch is an eighth as large and there are five times as many epochs.
        """
        epochs = round(self.max_epochs * min(share**-0.4, 5))
        batch = max(64, 1 << int(math.log2(max(16 * self.batch_exposures * share, 1))))
        return self.model_copy(
            update={
                "max_epochs": epochs,
                "batch_exposures": min(self.batch_exposures, batch),
                "patience": max(self.patience, epochs // 5) if share < 1 else self.patience,
            }
        )
