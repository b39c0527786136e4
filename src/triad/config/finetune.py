"""`finetune`: heads, experts, loss weighting."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from triad.config.base import EachOnce, Section

LEAST_BATCH, LARGEST_BATCH, EPOCH_STEPS = 64, 1024, 60
"""A batch of `auto`: in batches of 1024, a shop with few exposures has learned little when its epochs are over."""


class FinetuneParams(Section):
    """Multi-task training on exposures."""

    init: Literal["pretrain", "scratch", "champion", "market"] = Field(
        default="pretrain",
        description="champion: start from champion.version (if null, from pretrain); market: from champion.market",
    )
    source_gate: bool = Field(
        default=True,
        description="with pretrain or market, also train from scratch, and keep that unless the source is shown to "
        "help. It costs a second fit. It does not apply to champion: the night's own gate compares with the champion",
    )
    tasks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="pointwise tasks that this network learns; null: all but those of messages; a single one gives its "
        "single-task twin",
    )
    apart: Annotated[tuple[str, ...], EachOnce] = Field(
        default=(),
        description="units of examples that get a network of their own, such as [exposures]; by default all units "
        "share one, which learns the tasks of all of them",
    )
    body: Literal["single_task", "shared_bottom", "mmoe", "ple", "aitm", "stem"] = "mmoe"
    levels: int = Field(default=2, ge=1, description="levels of ple; one level is CGC")
    experts: int = Field(default=4, ge=1, description="shared experts of mmoe, ple and stem")
    own_experts: int = Field(default=1, ge=1, description="experts of each task, of ple and stem")
    expert_dim: int = Field(default=64, ge=1)
    head_dim: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1, description="dropout before a task's tower; the trunk has its own")
    weighting: Literal["fixed", "uncertainty", "dwa", "famo", "gradnorm", "pcgrad", "cagrad"] = "uncertainty"
    counterfactual: Literal["none", "ips", "dr"] = Field(
        default="none",
        description="ESCM²: also learn a task with `given` on rows where that happened, reweighted to all rows",
    )
    counterfactual_weight: float = Field(default=0.1, gt=0, description="weight of that term in the task's loss")
    dot_product_init: float = Field(
        default=0,
        ge=0,
        description="initial weight of the match of user and item in a binary task; "
        "above 0 speeds up learning when no context describes the user's preferences",
    )
    batch_exposures: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="exposures a step; auto: by the number of train exposures, see `batch_of`"
    )
    learning_rate: float = Field(default=7e-4, gt=0, le=1)
    transfer: Literal["full", "frozen", "gradual", "delta"] = Field(
        default="full", description="which parts of a pretrained trunk may still change; see training/transfer.py"
    )
    trunk_rate: float = Field(
        default=0.1, ge=0, le=1, description="full: share of learning_rate for the pretrained trunk"
    )
    layer_rate: float = Field(
        default=0.38, gt=0, le=1, description="gradual: a layer's rate as a share of the rate of the layer above"
    )
    delta_rank: int = Field(default=4, ge=1, description="delta: rank of the matrix that is added to a weight matrix")
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled; not for biases, norms and λ")
    max_epochs: int = Field(default=6, ge=1)
    warm_epochs: int = Field(default=2, ge=1, description="max_epochs when starting from the champion")
    warm_rate: float = Field(
        default=0.3, gt=0, le=1, description="share of learning_rate when starting from champion or market"
    )
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
