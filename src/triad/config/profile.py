"""`profile`: the user-profile member."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section


class ProfileParams(Section):
    """Boosted trees on what a user did so far."""

    trees: Literal["hist", "lightgbm"] = Field(default="hist", description="scikit-learn's, or LightGBM's")
    max_iterations: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.08, gt=0)
    leaves: int = Field(default=8, ge=2, description="leaves of a tree")
    column_share: float = Field(default=0.3, gt=0, le=1, description="of the columns, drawn anew for each split")
    row_share: float = Field(default=1.0, gt=0, le=1, description="of the rows, drawn anew for each tree of lightgbm")
    min_rows_a_leaf: int = Field(default=60, ge=1)
    patience: int = Field(default=12, ge=1, description="trees without a better validation loss")
    bag_rows: int = Field(
        default=160_000, ge=0, description="a task's trees are the mean of as many fits, to 8, as read no more rows"
    )
    vectors: bool = Field(default=True, description="read the pretrained item vectors, where labels are no steps")
    components: int = Field(default=8, ge=1, description="principal axes of those")
    informed: bool = Field(
        default=False, description="also fit the member `informed`, which reads the similarity member's scores too"
    )
    seed: int = Field(default=1, ge=0)
