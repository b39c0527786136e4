"""A class that the shop declares of its users: their segment, their country."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Needs, Rows, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class UserAttribute(Label):
    """The user's class on rows of the user's fold: one a user and day in train, the user's last in later splits."""

    name = "user_attribute"
    kinds = ("multiclass",)
    unit = "exposures"
    options = ("column",)
    cluster = "user"
    slices = ("users", "market")
    reads = ("user", "taste", "context")
    question = "Which {column} does the customer belong to?"

    def needs(self, task: TaskParams) -> Needs:
        return Needs(columns=(str(task.column),))

    def classes(self, task: TaskParams, values: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        return tuple(sorted(set(values(str(task.column))) - {""}))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Rows, classes: Sequence[str]) -> Floats:
        value = rows.of_users(str(tasks[name].column), classes)
        shown = (rows.split >= 0) & rows.in_fold & (value >= 0)
        unit = np.where(rows.in_train, rows.day, -1 - rows.split.astype(np.int64))
        return rows.once("user", value, shown, unit=unit)

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth | None:
        # the simulated shop draws its users from segments; their other columns are chance
        if task.column != "segment":
            return None
        return Truth("users", ("user_id",), tuple(f"p_{name}" for name in classes))


LABEL = UserAttribute()
