"""How the item's price moves over the next days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Needs, Rows, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class PriceMove(Label):
    """Log of the price `horizon_days` later over the day's price, on one row an item and day, inside the split."""

    name = "price_move"
    kinds = ("regression",)
    unit = "exposures"
    options = ("horizon_days",)
    cluster = "item"  # its overlapping weeks are anything but independent
    slices = ("items", "category")
    reads = ("item", "context")
    naive = 0.0
    question = "How will the product's price move over the next {days} days? (as log of the ratio)"

    def needs(self, task: TaskParams) -> Needs:
        return Needs(tables=("prices",))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Rows, classes: Sequence[str]) -> Floats:
        days = tasks[name].horizon_days
        move = rows.log_price(days) - rows.log_price(0)
        return rows.once("item", move, rows.known_after(days) & np.isfinite(move))

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("prices", ("item_id", "day"), (f"price_move_{task.horizon_days}d",))

    def miss(self, value: float) -> str:
        return f", about {value:.1%} of the price"


LABEL = PriceMove()
