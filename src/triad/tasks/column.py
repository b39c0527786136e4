"""A column of a study's own table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triad.tasks.base import EVERY_SLICE, Label, Needs

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class Column(Label):
    """What the form of a study reads; a shop's tables do not make it."""

    name = "column"
    kinds = ("binary", "multiclass", "regression")
    chains = True
    unit = "exposures"
    options = ("column",)
    cluster = "user"
    slices = EVERY_SLICE
    reads = ("user", "item", "pair", "context", "odds")
    question = "What will {column} be?"
    make = None

    def needs(self, task: TaskParams) -> Needs:
        return Needs()


LABEL = Column()
