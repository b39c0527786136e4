"""`retraining`: which nights train and judge anew, and which only teach the model that serves the newest days."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triad.config.base import Section, Text


class PriceParams(Section):
    """What a run's time and memory cost. Without a price no money is named."""

    processor_hour: float | None = Field(default=None, ge=0, description="price of an hour of one processor's work")
    gigabyte_hour: float | None = Field(
        default=None, ge=0, description="price of 10^9 bytes of memory held for an hour"
    )
    currency: Text = Field(default="EUR", description="of both prices")


class RetrainingParams(Section):
    """The kind of a night. `triad retraining open` decides it, and writes it here for the stages of that night."""

    night: Literal["full", "light"] = Field(
        default="full",
        description="full: train, fuse, evaluate; light: the model that serves learns the days that it lacks",
    )
    full_every_days: int = Field(
        default=1,
        ge=1,
        le=3660,
        description="days from one full night to the next; those between are light where one can be",
    )
    light_serves: bool = Field(
        default=True,
        description="whether a light night's version serves if it keeps the limits of refit.health; false: a person "
        "promotes it",
    )
    prices: PriceParams = PriceParams()
