"""`similarity`: the item-similarity member, and the other members with item-item weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from triad.config.base import EachOnce, Section
from triad.config.members import asked_by, known

LINEAR = "similarity.linear.members"
Weights = Annotated[str, AfterValidator(lambda name: known(name, asked_by(LINEAR)))]


class LinearParams(Section):
    """Members whose score is a decayed history times item-item weights, and how those weights are made."""

    members: Annotated[tuple[Weights, ...], EachOnce] = Field(
        default=("own_history", "transitions"),
        description="members that this stage also fits; name them in fuse.members too",
    )
    neighbours: int = Field(default=200, ge=1, description="weights kept per item")
    reach: int = Field(default=20, ge=1, description="largest distance, in steps, of two interactions that form a pair")
    fade: float = Field(default=0.5, ge=0, description="transitions: a pair at distance d counts d^-fade")
    backward: float = Field(default=0.7, ge=0, description="transitions: weight of a pair in the opposite order")
    shrink: float = Field(default=20.0, ge=0, description="transitions: interactions added to a pair's evidence")
    kindred: int = Field(
        default=30, ge=1, description="kindred: items of like attributes that lend an item their pairs"
    )
    ridge: float = Field(default=10.0, gt=0, description="ease, successors: λ of the ridge regression")
    past_decay: float = Field(
        default=0.75, gt=0, le=1, description="successors: decay of an item per step further back"
    )
    future_decay: float = Field(
        default=0.7, gt=0, le=1, description="successors: decay of a target per step further on"
    )


class SimilarityParams(Section):
    """Item-kNN with recency decay, and closeness of pretrained embeddings."""

    neighbours: int = Field(default=100, ge=1)
    half_life_days: Annotated[tuple[PositiveFloat, ...], EachOnce] = Field(
        default=(1.0, 3.0, 7.0, 20.0, 60.0, 120.0, 365.0, 1500.0),
        min_length=1,
        description="days after which an interaction counts half as much: values that each member tries on validation",
    )
    recent: Annotated[tuple[PositiveInt, ...], EachOnce] = Field(
        default=(1, 5, 20, 1000),
        min_length=1,
        description="most recent visits used, and of these 2,500 interactions at most: values tried likewise. "
        "Half an hour without an interaction ends a visit",
    )
    shrink: float = Field(
        default=10.0, ge=0, description="users added to a pair's evidence, so a few common users count little"
    )
    max_queries: int = Field(default=5000, ge=1, description="validation queries that the ranking is fitted on")
    linear: LinearParams = LinearParams()
    seed: int = Field(default=1, ge=0)
