"""`serve`: what the service writes down, and the challenger that it tries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from triad.config.base import Section, Text
from triad.config.publish import Alias

Sync = Literal["always", "second", "never"]
Mode = Literal["shadow", "canary", "compare", "interleave"]


class TrialParams(Section):
    """A challenger beside the version that serves."""

    alias: Alias | None = Field(default=None, description="what names it in the registry; null: none is tried")
    mode: Mode = Field(
        default="shadow",
        description="shadow: it answers unseen and is compared; canary: a share of customers gets its lists, until it "
        "fails a limit below; compare: likewise, half of them (A/B); interleave: all get lists drawn from both",
    )
    share: float = Field(default=0.1, gt=0, le=1, description="of customers, of a canary")
    requests: int = Field(default=200, ge=1, description="latest answers that limits are judged by")
    most_errors: float = Field(default=0.01, ge=0, le=1, description="share of them that may fail")
    slowest_ms: float = Field(default=250, gt=0, description="milliseconds that 99 of 100 must stay within")
    least_overlap: float = Field(
        default=0.0, ge=0, le=1, description="share of items that its lists must have in common with the champion's"
    )


class ServeParams(Section):
    """`triad serve`."""

    log: Text | None = Field(default=None, description="folder for impressions; null: nothing is written down")
    sync: Sync = Field(
        default="second",
        description="when the disk has an impression: before the answer leaves (always), within a second, or never "
        "asked for. A kill of the process loses none in any case",
    )
    file_mb: int = Field(default=64, ge=1, description="MiB after which another file is begun; each day begins one")
    trial: TrialParams = TrialParams()

    @model_validator(mode="after")
    def _noted(self) -> ServeParams:
        if self.trial.alias is not None and self.log is None:
            raise ValueError("trial.alias needs serve.log, the folder that says which arm was shown what")
        return self
