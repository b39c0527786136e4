"""`publish`: names in the registry."""

from __future__ import annotations

from pydantic import Field

from triad.config.base import Section


class PublishParams(Section):
    """Where a model is registered. The server comes from MLFLOW_TRACKING_URI."""

    experiment: str = Field(default="triad", min_length=1)
    model: str = Field(default="triad", min_length=1)
    alias: str = Field(default="champion", min_length=1)
