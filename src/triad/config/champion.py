"""`champion`: the registered models that a night may start from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from triad.config.base import EachOnce, Section
from triad.config.publish import Name


class MarketParams(Section):
    """Another market's model: of another shop that Triad retrains, in the same registry."""

    model: Name | None = Field(default=None, description="publish.model of that shop; null: no other market")
    version: int | None = Field(
        default=None,
        ge=1,
        description="version of that model; `triad retraining open` replaces null by the one that serves there",
    )
    apart: Annotated[tuple[str, ...], EachOnce] = Field(
        default=("item",),
        description="vocabularies whose ids mean different things there; in all others the same id means the same",
    )


class ChampionParams(Section):
    """Named by number and not by alias, so that a night can be repeated."""

    version: int | None = Field(
        default=None, ge=1, description="number of the version in the registry; null: start from none"
    )
    market: MarketParams = MarketParams()
