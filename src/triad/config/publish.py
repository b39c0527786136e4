"""`publish`: the names in the registry."""

from __future__ import annotations

import re
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


def _model(name: str) -> str:
    if ":" in name:
        raise ValueError(f"{name!r} holds a colon, by which MLflow's addresses part a model from its version")
    return name


def _alias(name: str) -> str:
    if name.lower() == "latest" or re.fullmatch(r"[vV]\d+", name):
        raise ValueError(f"{name!r} is MLflow's own word for a version: choose another, such as champion")
    if not re.fullmatch(r"[\w-]{1,255}", name):
        raise ValueError(f"{name!r} is no alias for MLflow: letters, digits, - and _ only")
    return name


Name = Annotated[str, AfterValidator(_checked)]
"""Of what lies in a registry. Files are named after it."""
Alias = Annotated[Name, AfterValidator(_alias)]
"""Of a version."""


class PublishParams(Section):
    """Where a model is registered. The server comes from MLFLOW_TRACKING_URI."""

    experiment: Name = "triad"
    model: Annotated[Name, AfterValidator(_model)] = "triad"
    alias: Alias = "champion"
