"""The steps of the funnel: is what was shown clicked, put into the cart, bought?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from triad.arrays import Floats
from triad.config.tasks import chain, given
from triad.tasks.base import EVERY_SLICE, Label, Needs, Rows, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams


class Step(Label):
    """An event of its kind by the same user on the same item within `attribution_hours` after the exposure.

    If both name a session, it must be the same one. A task with `given` is labelled on the entire space: the events
    of all that it needs come first, in order.
    """

    step: str
    kinds = ("binary",)
    chains = True
    unit = "exposures"
    options = ()
    cluster = "user"
    slices = EVERY_SLICE
    # Not taste: in train rows the pretrained vectors have learnt from the very steps to be predicted, so trees would
    # trust them more than a later day bears out (0.001 of AUC on the simulated shop).
    reads = ("user", "item", "pair", "context")

    def __init__(self, name: str, step: str, question: str) -> None:
        self.name, self.step, self.question = name, step, question

    def needs(self, task: TaskParams) -> Needs:
        return Needs(events=(self.step,), shown=True)

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Rows, classes: Sequence[str]) -> Floats:
        return rows.followed([_STEPS[tasks[each].label] for each in reversed(chain(name, given(tasks)))])

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("exposures", ("event_id",), (f"p_{self.step}",))


LABEL = (
    Step("clicked", "click", "Will the customer click on the product they are shown?"),
    Step("carted", "cart", "Will the customer put the product they are shown into the cart?"),
    Step("purchased", "purchase", "Will the customer buy the product they are shown?"),
)
_STEPS = {label.name: label.step for label in LABEL}
