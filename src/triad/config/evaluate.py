"""`evaluate`: intervals, slices, gate."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section, Text


class EvaluateParams(Section):
    """How the test window is read, and what a challenger must show. Margins are in units of the primary metric:
    AUC, macro F1, share of the naive error removed, NDCG."""

    bootstrap: int = Field(default=300, ge=20, le=100_000, description="resamples of users")
    confidence: float = Field(default=0.95, gt=0, lt=1)
    k: int = Field(default=10, ge=1, description="length of the ranked list")
    examples: int = Field(
        default=0, ge=0, description="customers whose last items the report shows, by title; 0: nobody's"
    )
    max_queries: int = Field(default=20000, ge=1, description="ranking queries, sampled if there are more")
    max_calibration_error: float = Field(default=0.05, gt=0)
    slice_margin: float = Field(default=0.03, ge=0, description="loss of the primary metric that is allowed in a slice")
    margin: float = Field(default=0.002, ge=0, description="loss of the primary metric that still counts as no worse")
    min_gain: float = Field(
        default=0.001, ge=0, description="gain that must be exceeded; another seed of the same model can gain this much"
    )
    min_slice_rows: int = Field(default=200, ge=1)
    market: Text | None = Field(
        default="country",
        description="column of users that names their market; null, or no such column: no market slices",
    )
    cold_market: float = Field(
        default=0.01, ge=0, lt=1, description="share of train exposures below which a market is cold"
    )
    seed: int = Field(default=1, ge=0)
