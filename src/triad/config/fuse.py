"""`fuse`: which members are fused, and when the fusion serves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from triad.config.base import Section
from triad.config.members import known

MemberName = Annotated[str, AfterValidator(known)]


class FuseParams(Section):
    """Calibration and weights, fitted on the fusion window."""

    members: tuple[MemberName, ...] = (
        *("finetune", "pretrain", "similarity", "trees", "item_knn", "transitions", "own_history", "popularity"),
        *("text_linear", "nearest_text", "bag_of_words"),
        *("search_text", "search_order", "product_linear"),
        *("category_median", "comparables", "product_ridge", "product_trees"),
    )
    calibrate: bool = True
    combine: Literal["convex", "stacked", "reranked"] = Field(
        default="reranked",
        description="convex: weights that are at least 0 and sum to 1; stacked: a logistic regression on the members, "
        "and trees upon it; reranked: convex weights, trees upon them, and the first items of lists in an order that "
        "trees learned. Trees serve where they are likely better (`sure`)",
    )
    candidates: int = Field(default=60, ge=1, le=1000, description="items of each member that a re-ranker orders")
    trees: tuple[PositiveInt, ...] = Field(
        default=(100, 200), min_length=1, description="reranked: how many trees are tried, in rising order"
    )
    fits: int = Field(
        default=1,
        ge=1,
        le=100,
        description="reranked: how often the trees of lists are grown, each time by another seed; the mean counts. "
        "Worth its time where lists are few",
    )
    network: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        default=(0.0, 0.1, 0.2),
        min_length=1,
        description="reranked: weights that are tried of a network which orders lists beside the trees, by the columns "
        "that they read; 0: trees alone",
    )
    pairs: int = Field(
        default=60_000,
        ge=1,
        description="reranked: candidates not taken that trees learn of, drawn where there are more. What was taken "
        "says most of an order; more of the others cost time and help a little",
    )
    loss: Literal["xe_ndcg", "lambdarank"] = Field(
        default="xe_ndcg",
        description="reranked: what the trees of lists lower. xe_ndcg: quick, small trees; lambdarank: larger trees, "
        "for lists of which candidates are given",
    )
    corrections: tuple[PositiveInt, ...] = Field(
        default=(25,),
        description="stacked, reranked: how many trees upon the fusion of a binary task of exposures are tried, in "
        "rising order; they read the members, the history and the context. Empty: none",
    )
    segments: tuple[int, ...] = Field(
        default=(),
        description="convex: history lengths, in interactions, at which a segment with its own weights begins",
    )
    mask_seen: bool = Field(default=False, description="lists leave out items that the user took before")
    folds: int = Field(default=5, ge=2, le=100, description="folds of users; losses are measured on the fold left out")
    max_queries: int = Field(default=4000, ge=1, description="ranking queries, sampled if there are more")
    k: int = Field(default=10, ge=1, description="length of the lists by which a ranking's fusion is judged")
    bootstrap: int = Field(default=200, ge=20, le=100_000, description="resamples of users for the gain's interval")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="of the intervals that are reported")
    sure: float = Field(
        default=0.9,
        ge=0.5,
        lt=1,
        description="chance that a gain out of fold is real, from which what gains it serves; else the best member "
        "serves, or what serves otherwise",
    )
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> FuseParams:
        if len(set(self.members)) < len(self.members) or not self.members:
            raise ValueError(f"members {list(self.members)}: name at least one, and each once")
        if list(self.trees) != sorted(set(self.trees)):
            raise ValueError(f"trees {list(self.trees)} must rise")
        if list(self.network) != sorted(set(self.network)):
            raise ValueError(f"network {list(self.network)} must rise")
        if list(self.corrections) != sorted(set(self.corrections)):
            raise ValueError(f"corrections {list(self.corrections)} must rise")
        if self.segments and self.combine == "stacked":
            raise ValueError("`segments` goes with combine: convex")
        if list(self.segments) != sorted({s for s in self.segments if s > 0}):
            raise ValueError(f"segments {list(self.segments)} must rise from above 0")
        return self
