"""`ingest`: the source, and the window of days."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from triad.config.base import Day, Section, Text
from triad.config.files import FilesParams

SIMULATED_ATTRIBUTES = ("country", "device", "segment")
"""What the simulated shop knows of a customer."""


class SimulatedParams(Section):
    """The simulated shop. Sizes are defined in `sources/simulated`."""

    size: Literal["tiny", "small", "large"] = "small"
    seed: int = Field(default=1, ge=0)
    trends: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="strength of fashions, seasons, drifting tastes and products' lives; 0: demand stands still",
    )


class IngestParams(Section):
    """The window `[as_of - window_days, as_of)` in whole UTC days, and where its tables come from."""

    source: Literal["simulated", "files"] = "simulated"
    as_of: Day = Field(description="first UTC day after the window")
    window_days: int = Field(default=56, ge=2, le=3660, description="days")
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$", description="ISO 4217")
    pseudonymise: bool = Field(
        default=False,
        description="ids of users, events, visits and messages become keyed hashes (docs/privacy.md)",
    )
    keep_days: bool = Field(
        default=True,
        description="files or days of events that did not change are kept in .triad/days, and not read again",
    )
    shown: Text | None = Field(
        default=None,
        description="folder of serve.log, whose impressions are read beside the source's events; null: none",
    )
    simulated: SimulatedParams = SimulatedParams()
    files: FilesParams | None = None

    @model_validator(mode="after")
    def _files_named(self) -> IngestParams:
        if self.source == "files" and not self.files:
            raise ValueError("source 'files' needs the section ingest.files")
        return self
