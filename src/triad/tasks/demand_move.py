"""How the number of units sold moves over the next days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Needs, Outlook

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class DemandMove(Outlook):
    """log of 1 + units sold over the next `horizon_days` over 1 + those of as many days before."""

    name = "demand_move"
    kinds = ("regression",)
    unit = "product_days"
    options = ("horizon_days",)
    cluster = "item"  # its weeks are anything but independent
    slices = ()
    reads = ()
    naive = 0.0
    covers = 0.9
    question = "How will the units sold of a product move over the next {days} days? (as log of the ratio of 1 + units)"

    def needs(self, task: TaskParams) -> Needs:
        return Needs(events=("purchase",))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        days = tasks[name].horizon_days
        after = np.log1p(rows.grid.between("units", rows.item, rows.at, rows.at + days))
        move = after - self.plain(tasks[name], rows)[0]
        return np.where(rows.within(days), move, np.nan).astype(np.float32)

    def plain(self, task: TaskParams, rows: Any) -> tuple[Floats, Floats, Floats]:
        days, grid = task.horizon_days, rows.grid
        now, season = (
            np.log1p(grid.between("units", rows.item, rows.at - back, rows.at - back + days))
            for back in (days, max(28, days))
        )
        usual = np.log1p(days * grid.smoothed[-1][rows.item, rows.at])
        return now, season - now, usual - now

    def level(self, moved: Floats) -> Floats:
        return np.maximum(np.expm1(moved), 0)


LABEL = DemandMove()
