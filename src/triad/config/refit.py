"""`refit`: how the evaluated model learns the newest days before it serves, and when it may not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from triad.config.base import EachOnce, Section


class HealthLimits(Section):
    """How far the refitted model's answers on the test days may lie from the evaluated one's."""

    min_rank_correlation: float = Field(
        default=0.5, ge=-1, le=1, description="Spearman's, of the two models' scores of each task and order of lists"
    )
    max_drift: float = Field(
        default=0.1, gt=0, description="change of each task's mean score, in standard deviations of what is predicted"
    )
    max_calibration_loss: float = Field(
        default=0.02, ge=0, description="by how much the calibration error may exceed the evaluated model's"
    )
    max_new_items: float = Field(
        default=0.5, gt=0, le=1, description="share of lists' first places held by items that train did not know"
    )
    min_days_agreement: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="light nights: how well the newest days agree with the week before on which items are taken, as a "
        "share of what is usual in this shop",
    )
    rows: int = Field(default=2_000, ge=100, description="rows of each unit, and customers' lists, that are compared")


class RefitEpochs(Section):
    """Passes over the new days and what is replayed, where networks continue."""

    pretrain: int = Field(default=3, ge=1, description="over all new days at once: in a light night, or unrehearsed")
    window: int = Field(default=8, ge=1, description="of the pretrained network over each window that is rehearsed")
    finetune: int = Field(default=1, ge=1)


class RefitParams(Section):
    """The model that serves: every member fitted on all days, with what the evaluated members chose."""

    networks: Literal["continue", "anew"] = Field(
        default="continue",
        description="continue: go on from the evaluated weights over the days they lack; anew: train again on all "
        "days for the chosen number of epochs",
    )
    epochs: RefitEpochs = RefitEpochs()
    replay: float = Field(default=1.0, ge=0, description="continue: earlier rows learned again for each new one")
    rate: float = Field(default=1.0, gt=0, le=1, description="continue: share of the stages' learning_rate")
    on_shelf: bool = Field(
        default=True,
        description="continue: what was not yet on the shelf is no negative of what happened before. Else a new item "
        "is taught by all earlier rows that nobody takes it",
    )
    rehearse: bool = Field(
        default=True,
        description="continue: in a full night members learn a window at a time and are asked about the lists that "
        "follow; the re-ranker learns its order anew from these, by as many trees as were chosen",
    )
    light_keeps: Annotated[tuple[str, ...], EachOnce] = Field(
        default=("trees", "stacked_trees", "product_writer", "product_network"),
        description="members that a light night leaves as they are: a day changes them least, and costs most",
    )
    health: HealthLimits = HealthLimits()
    seed: int = Field(default=1, ge=0)
