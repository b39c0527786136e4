"""`profile`: the user-profile member."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class ProfileParams(Section):
    """Boosted trees on what a user did so far."""

    max_iterations: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.08, gt=0)
    seed: int = Field(default=1, ge=0)
