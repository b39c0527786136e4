"""The keys of the form "ratings of several markets"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from triad.datasets.markets.files import MarketFiles, RatingColumns

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$")]
"""A market's; a folder's too."""


class MarketsForm(RatingColumns):
    """Where the markets lie, and what their columns are called."""

    form: Literal["markets"]
    markets: dict[Name, MarketFiles] = Field(min_length=1, description="in the order in which vocabularies grow")
    min_count: int = Field(default=1, ge=1, description="train steps of a market from which on an item has its own row")
    hash_buckets: int = Field(default=64, ge=1, description="embedding rows shared by the other items")
    seed: int = Field(default=1, ge=0, description="chooses whom and what to hold out")

    def read_from(self, folder: Path) -> list[Path]:
        """All files that `read` reads."""
        named = ((*files.ratings, files.asked, files.run, files.qrel) for files in self.markets.values())
        return [folder / path for paths in named for path in paths if path is not None]

    def sources(self, target: str) -> tuple[str, ...]:
        """The markets before `target`, whose networks it may start from."""
        names = tuple(self.markets)
        return names[: names.index(target)] if target in names else ()
