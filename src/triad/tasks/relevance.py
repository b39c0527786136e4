"""How well a product answers what was searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Needs, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class Relevance(Label):
    """The grade of a query's product: of the table `searches`, or of clicks where the shop has none."""

    name = "relevance"
    kinds = ("graded",)
    unit = "searches"
    options = ()
    cluster = "query"
    slices = ()  # its unit says them
    reads = ()
    question = "How well does the product answer what was searched for? (0 not at all … 3 exactly)"

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        return np.asarray(rows, np.float32)  # the unit's rows are their grades

    def needs(self, task: TaskParams) -> Needs:
        return Needs()

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("searches", ("query", "item_id"), ("relevance",))


LABEL = Relevance()
