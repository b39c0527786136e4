"""What the user spends on the days after the exposure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Needs, Rows

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class Spend(Label):
    """log1p of the cents spent on the `horizon_days` after the exposure's day, on one row a user and day."""

    name = "spend"
    kinds = ("regression",)
    unit = "exposures"
    options = ("horizon_days",)
    cluster = "user"
    slices = ("users", "market")
    reads = ("user", "taste", "context")
    question = "How much will the customer spend over the next {days} days? (as log of 1 + cents)"

    def needs(self, task: TaskParams) -> Needs:
        return Needs(events=("purchase",))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Rows, classes: Sequence[str]) -> Floats:
        days = tasks[name].horizon_days
        cents = rows.following("user", "purchase", "price_cents * quantity", days)
        return rows.once("user", np.log1p(cents), rows.known_after(days))


LABEL = Spend()
