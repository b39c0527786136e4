"""The item that the user turns to next, of the whole catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triad.tasks.base import Label, Needs

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class NextItem(Label):
    """The targets of the lists."""

    name = "next_item"
    kinds = ("ranking",)
    unit = "lists"
    options = ()
    cluster = "user"
    slices = ("users", "items", "category", "market")
    reads = ()
    question = "Which product of the whole catalogue will the customer turn to next?"
    make = None

    def needs(self, task: TaskParams) -> Needs:
        return Needs()


LABEL = NextItem()
