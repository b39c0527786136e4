"""`similarity`: the item-similarity member."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class SimilarityParams(Section):
    """Item-kNN with recency decay, and closeness of pretrained embeddings."""

    neighbours: int = Field(default=100, ge=1)
    half_life_days: float = Field(default=7.0, gt=0, description="days after which an interaction counts half")
    recent: int = Field(default=50, ge=1, description="interactions looked back on")
    seed: int = Field(default=1, ge=0)
