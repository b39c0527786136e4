"""`features`: windows, labels' horizons, vocabularies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from triad.config.base import EachOnce, Section

ITEM_VOCABULARIES = ("item", "category", "brand", "token")
"""Vocabularies of what items are; all others are user attributes."""


def attribute(name: str) -> str:
    """`name`, where it can be that of a vocabulary, and of its file."""
    if name in ITEM_VOCABULARIES:
        raise ValueError(f"{name!r} is what a vocabulary of items is called: give this attribute another name")
    if "/" in name:
        raise ValueError(f"{name!r} is a path, not a name: give this attribute another")
    return name


Attribute = Annotated[str, AfterValidator(attribute)]
"""A column of users, or of a study's table, that models read."""


class SplitDays(Section):
    """Whole days at the window's end given to each later split; the rest is `train`."""

    validation: int = Field(default=8, ge=1, description="days")
    fusion: int = Field(default=9, ge=1, description="days")
    test: int = Field(default=9, ge=1, description="days")


class FeaturesParams(Section):
    """How tables become examples."""

    split_days: SplitDays = SplitDays()
    attribution_hours: int = Field(
        default=24, ge=1, description="hours after an exposure in which its labels may occur"
    )
    sampled_negatives: int = Field(
        default=4, ge=0, description="items drawn for each positive, if the source records only positives"
    )
    user_attributes: Annotated[tuple[Attribute, ...], EachOnce] = Field(
        default=(), description="columns of users that models may read"
    )
    min_count: int = Field(default=3, ge=1, description="train interactions before an id gets a vocabulary row")
    hash_buckets: int = Field(default=64, ge=1, description="rows shared by the ids without their own row")
    title_tokens: int = Field(default=8, ge=1, le=1000, description="title words kept per item")
    item_vectors: Annotated[tuple[Literal["text", "image"], ...], EachOnce] = Field(
        default=(),
        description="what the networks' item tower reads besides: text: the vector of title and description by "
        "text.encoder; image: the picture's by images.encoder. A product first seen when a model serves then has its "
        "place. Kept where it helps: pretrain.vectors_gate",
    )
    category_levels: int = Field(default=2, ge=1, le=20, description="levels of the category path kept")
    max_oov_rate: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="share of interactions whose item has no row of its own; above it the run stops",
    )
    seed: int = Field(default=1, ge=0)
