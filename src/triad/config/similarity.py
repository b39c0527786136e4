"""`similarity`: the item-similarity member."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class SimilarityParams(Section):
    """Item-kNN with recency decay, and closeness of pretrained embeddings."""

    neighbours: int = Field(default=100, ge=1)
    half_life_days: float = Field(default=7.0, gt=0, description="days after which an interaction counts half")
    recent: int = Field(default=50, ge=1, description="interactions looked back on")
    shrink: float = Field(default=10.0, ge=0, description="users added to a pair's evidence; few common users are none")
    popularity_half_life_days: float = Field(
        default=14.0, gt=0, description="days after which a taken item counts half"
    )
    max_queries: int = Field(default=5000, ge=1, description="validation queries that the ranking is fitted on")
    seed: int = Field(default=1, ge=0)
