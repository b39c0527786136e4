"""Labels by name. A file a label, found by its being here."""

from __future__ import annotations

from triad.discovery import Registry, discover
from triad.tasks.base import Label

LABELS: Registry[Label] = discover(__name__, "LABEL", Label, beside=("base", "following"))
