"""The forms of data by name: each is a module, or a package, of `triad.datasets` that declares a `FORM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triad.config.base import Section
from triad.datasets.base import Form
from triad.discovery import Registry, discover

FORMS: Registry[Form[Any]] = discover(
    "triad.datasets", "FORM", Form, beside=("base", "columns", "registry", "splits", "streams")
)


def keys_of(values: Any) -> Section:
    """The section `data` of a study.

    Raises:
        ValueError: there is no such form, or the section does not fit it.
    """
    name = values.get("form") if isinstance(values, Mapping) else None
    if not isinstance(name, str) or name not in FORMS:
        raise ValueError(f"form: {name!r} is none of {', '.join(FORMS)}")
    keys: Section = FORMS[name].keys.model_validate(values)
    return keys
