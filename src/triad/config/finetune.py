"""`finetune`: heads, experts, loss weighting."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from triad.config.base import Section

LEAST_BATCH, LARGEST_BATCH, EPOCH_STEPS = 64, 1024, 60
"""A batch of `auto`: in batches of 1024, a shop with few exposures has learned little when its epochs are over."""


class FinetuneParams(Section):
    """Multi-task training on exposures."""

    init: Literal["pretrain", "scratch", "champion", "market"] = Field(
        default="pretrain",
        description="champion: of champion.version, where that is null from pretrain; market: of champion.market",
    )
    source_gate: bool = Field(
        default=True,
        description="from pretrain or market also learn from nothing, and keep that where the source is not shown to "
        "help; a second fit. The champion is no source task: what starts from it is held to it by the night's own gate",
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
    batch_exposures: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="auto: by how many there are to learn from, see `batch_of`"
    )
    learning_rate: float = Field(default=7e-4, gt=0)
    transfer: Literal["full", "frozen", "gradual", "delta"] = Field(
        default="full", description="what a trunk that has learned before may still learn; see training/transfer.py"
    )
    trunk_rate: float = Field(default=0.1, ge=0, le=1, description="full: share of the rate that such a trunk gets")
    layer_rate: float = Field(default=0.38, gt=0, le=1, description="gradual: a layer's share of the rate above it")
    delta_rank: int = Field(default=4, ge=1, description="delta: rank of what is added to a matrix")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled, of all weights but biases, norms and λ")
    max_epochs: int = Field(default=6, ge=1)
    warm_epochs: int = Field(default=2, ge=1, description="max_epochs of a start from the champion")
    warm_rate: float = Field(default=0.3, gt=0, le=1, description="share of learning_rate from champion or market")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation loss")
    checkpoint_steps: int = Field(default=200, ge=1, description="steps between checkpoints a killed run resumes from")
    seed: int = Field(default=1, ge=0)

    def batch_of(self, rows: int) -> int:
        """How many exposures a step learns from, of `rows` to learn from."""
        if self.batch_exposures != "auto":
            return max(min(self.batch_exposures, rows), 1)
        return min(max(rows // EPOCH_STEPS, LEAST_BATCH), LARGEST_BATCH, max(rows, 1))

    def at_share(self, share: float) -> FinetuneParams:
        """For a share of the train rows: more epochs of smaller batches, or few rows would hardly be learned from.

        With a hundredth of the rows a batch is an eighth as large and there are five times as many epochs.
        """
        if share == 1:
            return self
        epochs = round(self.max_epochs * min(share**-0.4, 5))
        whole = LARGEST_BATCH if self.batch_exposures == "auto" else self.batch_exposures
        batch = max(LEAST_BATCH, 1 << int(math.log2(max(16 * whole * share, 1))))
        return self.model_copy(
            update={
                "max_epochs": epochs,
                "batch_exposures": min(whole, batch),
                "patience": max(self.patience, epochs // 5),
            }
        )
