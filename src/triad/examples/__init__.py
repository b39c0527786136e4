"""Units of examples by name. A file a unit, found by its being here."""

from __future__ import annotations

from triad.discovery import Registry, discover
from triad.examples.base import Unit

UNITS: Registry[Unit] = discover(__name__, "UNIT", Unit, beside=("base", "dataset"))
