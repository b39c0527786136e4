"""`recommend`: the lists that the shop shows tomorrow."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section, Text


class Caps(Section):
    """How many items of one kind a list holds at most. Items of which the kind is not known count as none."""

    category: int | None = Field(default=None, ge=1, description="of one broad category; null: any number")
    brand: int | None = Field(default=None, ge=1, description="of one brand; null: any number")


class RecommendParams(Section):
    """Retrieve by the fused ranking, order by the fused task, then keep to the merchant's rules."""

    k: int = Field(default=20, ge=1, description="items per user")
    candidates: int = Field(default=50, ge=1, description="items retrieved before ordering and the rules")
    order_by: str | None = Field(
        default="conversion", description="binary task that orders the list; null: keep the ranking's order"
    )
    bought: Literal["exclude", "due", "allow"] = Field(
        default="exclude",
        description="what the customer bought before: never shown, shown again when it is due by the time that "
        "usually lies between two purchases of it, or always shown",
    )
    hide: Text | None = Field(
        default=None, description="SQL condition on the table items; those that meet it are never shown"
    )
    out_of_stock: Text | None = Field(
        default=None, description="CSV or Parquet file whose column item_id holds what is never shown, read at each run"
    )
    caps: Caps = Caps()
    diversity: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="weight of unlikeness to the items above against the score (maximal marginal relevance)",
    )
    new_share: float = Field(
        default=0.0, ge=0, le=1, description="share of a list's places for new items drawn at random, marked explored"
    )
    new_days: int = Field(default=14, ge=1, le=3660, description="days for which an item is new")

    index_from: int | None = Field(
        default=50_000,
        ge=1,
        description="items from which candidates are found by an approximate index, in less than half the time and "
        "with nearly the same lists; null: never",
    )
    page_items: int = Field(
        default=10, ge=0, description="items of a product page's lists, similar and bought together; 0: no such lists"
    )

    @property
    def retrieved(self) -> int:
        """Items retrieved for each user."""
        return max(self.k, self.candidates if self.order_by is not None or self.rearranges else 0)

    @property
    def rearranges(self) -> bool:
        """Whether the best `k` are not simply the list."""
        return bool(self.caps.category or self.caps.brand or self.diversity)
