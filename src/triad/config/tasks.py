"""`tasks`: one entry per task; model, evaluation and report iterate this mapping.

Plain fields: whether a task's label has its kind and options is checked in `cross.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from triad.config.base import Section


class TaskParams(Section):
    """One thing to predict."""

    label: str = Field(description="what is predicted")
    kind: str = Field(description="what kind of answer that is")
    column: str | None = Field(
        default=None, description="the column that a label reads: of users, or of a study's table"
    )
    horizon_days: int = Field(default=7, ge=1, description="days ahead, for labels that look so far")
    given: str | None = Field(default=None, description="the task whose event this one needs (entire-space product)")
    weight: float = Field(
        default=1.0, gt=0, description="λ in L = Σ λᵢLᵢ with weighting fixed; else a factor of the weighting's λ"
    )
    gated: bool = Field(default=True, description="whether the gate checks this task")


_TAKEN = ("why", "changes")
"""What answers name beside tasks; so do columns of ids."""


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
        raise ValueError(
            f"{name!r} is no name of a task: up to 64 letters without accents, digits and _, a letter first"
        )
    if name in _TAKEN or name.endswith("_id"):
        raise ValueError(f"{name!r} stands for something else where scores are told: choose another name")
    return name


Name = Annotated[str, AfterValidator(_name)]
"""Of a task. Layers, metrics, columns and files are named after it."""
Tasks = Annotated[dict[Name, TaskParams], Field(min_length=1)]


def given(tasks: Mapping[str, TaskParams]) -> dict[str, str]:
    """Task → the task whose event it needs, of those that need one."""
    return {name: task.given for name, task in tasks.items() if task.given is not None}


def chain(task: str, given: Mapping[str, str]) -> list[str]:
    """The task and all that it needs, one after the other: a purchase, its click. A circle is gone round once."""
    names = [task]
    while (needs := given.get(names[-1])) is not None and needs not in names:
        names.append(needs)
    return names
