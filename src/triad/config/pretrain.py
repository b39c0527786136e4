"""`pretrain`: the trunk's size and the source task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from triad.config.base import Section

LARGEST_EXACT = 25_000
"""Items up to which the exact softmax pays: its cost grows with the catalogue (benchmarks/pretraining_losses.py)."""


class TrunkParams(Section):
    """The item tower and the causal Transformer."""

    dim: int = Field(default=48, ge=4)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    max_steps: int = Field(default=64, ge=4, description="interactions in one segment")
    dropout: float = Field(default=0.1, ge=0, lt=1)
    id_dropout: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="share of items whose id a step hides, so that category, brand, words, text and picture learn to "
        "stand for an item without history",
    )

    @model_validator(mode="after")
    def _divides(self) -> TrunkParams:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self


class PretrainParams(Section):
    """Which interaction, over the whole catalogue."""

    init: Literal["scratch", "champion", "market"] = Field(
        default="scratch",
        description="champion: start from champion.version (if null, from scratch); market: from champion.market",
    )
    task: Literal["next", "masked", "both"] = Field(
        default="next",
        description="next: the next interaction from earlier ones; masked: a hidden one from the others; both: in turn",
    )
    hidden_share: float = Field(default=0.2, gt=0, lt=1, description="share of interactions masked in an epoch")
    trunk: TrunkParams = TrunkParams()
    own_items: int = Field(
        default=1024,
        ge=0,
        description="last interactions whose items gain a learned term by how often and how lately the user took them; "
        "0: no such term. Masked interactions do not teach it",
    )
    trend: tuple[PositiveInt, ...] = Field(
        default=(),
        description="spans of days, up to the day before a list, over which the takings of all users add to an item's "
        "logit, by learned weights; none: no such term",
    )
    loss: Literal["auto", "softmax", "sampled_softmax", "gbce"] = Field(
        default="auto",
        description="softmax is exact; the others are for catalogues that are too large for it. auto: softmax "
        "up to 25,000 items, then sampled_softmax",
    )
    peer_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of a second network's predictions in the loss (mutual distillation); 0: no second network",
    )
    vectors_gate: bool = Field(
        default=True,
        description="where features.item_vectors names some, also train without them, and keep that unless they are "
        "shown to help on the validation split, by the rule of finetune.source_gate. It costs a second fit",
    )
    negatives: int = Field(default=256, ge=1, description="negatives drawn per step, shared by its targets")
    batch_targets: int = Field(default=1024, ge=1, description="interactions predicted per step")
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, description="decoupled; not for biases and norms")
    max_epochs: int = Field(default=12, ge=1)
    warm_epochs: int = Field(default=3, ge=1, description="max_epochs when starting from the champion")
    warm_rate: float = Field(
        default=0.3, gt=0, le=1, description="share of learning_rate when starting from champion or market"
    )
    choose_by: Literal["lists", "loss"] = Field(
        default="lists",
        description="what chooses the best epoch: NDCG@10 of next-interaction lists over the whole catalogue, or "
        "the loss, which turns while the lists still improve; with task masked always by the loss",
    )
    patience: int = Field(default=3, ge=1, description="epochs without an improvement on the validation split")
    checkpoint_steps: int = Field(default=200, ge=1, description="steps between checkpoints a killed run resumes from")
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _believes(self) -> PretrainParams:
        if self.peer_weight and (self.loss not in ("auto", "softmax") or self.task != "next"):
            raise ValueError("peer_weight goes with loss: softmax and task: next, a belief over the whole catalogue")
        return self

    def loss_for(self, items: int) -> str:
        """The loss for a catalogue of `items`: what `loss` says, or what `auto` comes to."""
        if self.loss != "auto":
            return self.loss
        return "softmax" if items <= LARGEST_EXACT or self.peer_weight else "sampled_softmax"
