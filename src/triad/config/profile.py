"""`profile`: the members of boosted trees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section


class ProfileParams(Section):
    """Boosted trees on what a user did so far."""

    trees: Literal["hist", "lightgbm"] = Field(default="hist", description="hist: scikit-learn's; lightgbm: LightGBM's")
    max_iterations: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.08, gt=0, le=1)
    leaves: int = Field(default=8, ge=2, description="leaves of a tree")
    column_share: float = Field(default=0.3, gt=0, le=1, description="share of the columns, drawn for each split")
    row_share: float = Field(
        default=1.0, gt=0, le=1, description="share of the rows, drawn for each tree (lightgbm only)"
    )
    min_rows_a_leaf: int = Field(default=60, ge=1)
    patience: int = Field(default=12, ge=1, description="trees without a better validation loss")
    bag_rows: int = Field(
        default=160_000, ge=0, description="each task averages up to 8 fits that together read at most this many rows"
    )
    vectors: bool = Field(default=True, description="read the pretrained item vectors, if labels are not steps")
    components: int = Field(default=8, ge=1, description="principal components kept of those vectors")
    stacked: bool = Field(
        default=False, description="also fit the member `stacked_trees`, which reads the similarity member's scores too"
    )
    seed: int = Field(default=1, ge=0)
