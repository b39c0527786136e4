"""How a product's price moves over the next days, whether or not anybody looks at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Outlook

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class PriceOutlook(Outlook):
    """Log of the price `horizon_days` on over the last one known; a shop without a table of prices has those paid."""

    name = "price_outlook"
    kinds = ("regression",)
    unit = "product_days"
    options = ("horizon_days",)
    cluster = "item"
    slices = ()
    reads = ()
    naive = 0.0
    covers = 0.9
    question = "How will a product's price move over the next {days} days? (as log of the ratio)"

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        days, grid = tasks[name].horizon_days, rows.grid
        later = grid.log_price[rows.item, np.minimum(rows.at + days, grid.days) - 1]
        move = later - grid.log_price[rows.item, rows.at - 1]
        return np.where(rows.within(days), move, np.nan).astype(np.float32)

    def plain(self, task: TaskParams, rows: Any) -> tuple[Floats, Floats, Floats]:
        grid = rows.grid
        now = grid.log_price[rows.item, rows.at - 1]
        season = grid.log_price[rows.item, np.maximum(rows.at - max(28, task.horizon_days) + task.horizon_days - 1, 0)]
        count = grid.between("priced", rows.item, rows.at - 28, rows.at)
        usual = grid.between("price", rows.item, rows.at - 28, rows.at) / np.maximum(count, 1)
        moves = (np.where(np.isfinite(each - now), each - now, 0) for each in (season, np.where(count > 0, usual, now)))
        return now, *moves

    def level(self, moved: Floats) -> Floats:
        return np.exp(moved)

    def miss(self, value: float) -> str:
        return f", about {value:.1%} of the price"


LABEL = PriceOutlook()
