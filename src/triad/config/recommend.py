"""`recommend`: the lists that the shop shows tomorrow."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class RecommendParams(Section):
    """Retrieve by the fused ranking, order by the fused task."""

    k: int = Field(default=20, ge=1, description="items per user")
    candidates: int = Field(default=50, ge=1, description="items retrieved before ordering")
    order_by: str | None = Field(
        default="conversion", description="binary task that orders the list; null: keep the ranking's order"
    )
    exclude_purchased: bool = True
