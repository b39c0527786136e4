"""`champion`: the model a night may start from."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class ChampionParams(Section):
    """Named by number and not by alias, so that a night can be repeated."""

    version: int | None = Field(default=None, ge=1, description="its number in the registry; null starts from none")
