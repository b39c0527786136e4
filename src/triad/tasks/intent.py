"""What the writer of a message wants: one of the shop's intents, or nothing that it handles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams

OUT_OF_SCOPE = "out_of_scope"
"""The intent of messages that the shop does not handle: the first of the classes, whether or not it occurs."""


class Intent(Label):
    """The message's intent. One that was unknown when the classes were named is missing."""

    name = "message_intent"
    kinds = ("choice", "multiclass")
    unit = "messages"
    options = ()
    cluster = "message"
    slices = ()
    reads = ()
    question = "What does the customer's message ask for, or is it nothing that the shop handles?"

    def classes(self, task: TaskParams, values: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        return (OUT_OF_SCOPE, *sorted(set(values("intent")) - {"", OUT_OF_SCOPE}))

    def called(self, name: str) -> str:
        return " ".join(re.split(r"[\W_]+", name)).strip()

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        place = {each: float(number) for number, each in enumerate(classes)}
        return np.array([place.get(each, np.nan) for each in rows["intent"]], np.float32)

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("messages", ("message_id",), tuple(f"p_{name}" for name in classes))


LABEL = Intent()
