"""`champion`: the registered models that a night may start from."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class MarketParams(Section):
    """Another market's model: of another shop that Triad retrains, in the same registry."""

    model: str | None = Field(default=None, min_length=1, description="that shop's publish.model; null: none")
    version: int | None = Field(default=None, ge=1, description="as champion.version, of that model")
    apart: tuple[str, ...] = Field(
        default=("item",),
        description="vocabularies whose ids name other things there; in the others they mean the same",
    )


class ChampionParams(Section):
    """Named by number and not by alias, so that a night can be repeated."""

    version: int | None = Field(default=None, ge=1, description="its number in the registry; null starts from none")
    market: MarketParams = MarketParams()
