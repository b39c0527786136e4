"""Which of the answers that the shop gave before fits a message, or none of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams

NONE = "none"
"""The first of the classes: an answer that was not given to anybody else."""
FEWEST = 2
"""Times an answer was given before it may be given again: what was said to one customer alone is theirs."""
MOST = 1_000
"""Answers that are chosen from, those given most often."""


def code(reply: str) -> str:
    """The name of an answer's class: classes are named in many files, and texts have no place there."""
    return "r" + hashlib.md5(reply.encode()).hexdigest()[:11]


class Reply(Label):
    """The answer's place among those given before, 0 where it is none of them; missing where nothing was answered."""

    name = "message_reply"
    kinds = ("choice",)
    unit = "messages"
    options = ()
    cluster = "message"
    slices = ()
    reads = ()
    question = "Which of the shop's earlier answers fits the message, or does none?"

    def classes(self, task: TaskParams, values: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        counts = Counter(values("reply"))
        often = sorted((-count, reply) for reply, count in counts.items() if reply and count >= FEWEST)
        return (NONE, *sorted(code(reply) for _, reply in often[:MOST]))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        place = {each: float(number) for number, each in enumerate(classes)}
        return np.array([place.get(code(each), 0.0) if each else np.nan for each in rows["reply"]], np.float32)

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("messages", ("message_id",), tuple(f"p_{name}" for name in classes))


LABEL = Reply()
