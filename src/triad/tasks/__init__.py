"""Labels by name. A file a label, found by its being here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triad.discovery import Registry, discover
from triad.tasks.base import Label

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams

LABELS: Registry[Label] = discover(__name__, "LABEL", Label, beside=("base", "following"))


def of_unit(unit: str, tasks: Mapping[str, TaskParams]) -> dict[str, TaskParams]:
    """Those of `tasks` whose examples are rows of `unit`."""
    return {name: task for name, task in tasks.items() if LABELS[task.label].unit == unit}


def are_lists(tasks: Mapping[str, TaskParams]) -> bool:
    """Whether no task has rows of its own, so that what learns of rows has nothing to learn."""
    return not any(LABELS[task.label].unit != "lists" for task in tasks.values())
