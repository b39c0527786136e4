"""The steps of the funnel: is what was shown clicked, put into the cart, bought?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from triad.arrays import Floats
from triad.config.tasks import chain, given
from triad.tasks.base import Label, Needs, Rows

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams

_STEPS = {"clicked": "click", "carted": "cart", "purchased": "purchase"}


class Step(Label):
    """An event of its kind by the same user on the same item within `attribution_hours` after the exposure.

    If both name a session, it must be the same one. A task with `given` is labelled on the entire space: the events
    of all that it needs come first, in order.
    """

    kinds = ("binary",)
    unit = "exposures"
    options = ()

    def __init__(self, name: str) -> None:
        self.name, self.step = name, _STEPS[name]

    def needs(self, task: TaskParams) -> Needs:
        return Needs(events=(_STEPS[self.name],), shown=True)

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Rows, classes: Sequence[str]) -> Floats:
        return rows.followed([_STEPS[tasks[each].label] for each in reversed(chain(name, given(tasks)))])


LABEL = tuple(Step(name) for name in _STEPS)
