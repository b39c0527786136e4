"""`publish`: the names in the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from triad.config.base import Section
from triad.errors import TriadError
from triad.removal import checked_part


def _checked(name: str) -> str:
    try:
        return checked_part(name, "name")
    except TriadError as error:
        raise ValueError(error.what) from error


Name = Annotated[str, AfterValidator(_checked)]
"""Of what lies in a registry. Files are named after it."""


class PublishParams(Section):
    """Where a model is registered. The server comes from MLFLOW_TRACKING_URI."""

    experiment: Name = "triad"
    model: Name = "triad"
    alias: Name = "champion"
