"""A unit of examples is one file: here messages, with a label of theirs. Run `python docs/examples/add_unit.py`.

In a project the two classes are `src/triad/examples/messages.py` and `src/triad/tasks/intent.py`.
"""

from dataclasses import dataclass

import numpy as np
from shop import register, shop

from triad.examples import UNITS
from triad.examples.base import Made, Unit
from triad.features.labels import values_of
from triad.features.splits import folds
from triad.tasks import LABELS
from triad.tasks.base import Label
from triad.texts import Texts


@dataclass(frozen=True)
class Messages:
    message_id: Texts
    message: np.ndarray  # (n,) each a cluster of its own
    tokens: np.ndarray  # (n, 12) rows of words
    split: np.ndarray  # (n,)
    labels: np.ndarray  # (n, tasks)


class MessagesUnit(Unit):
    name, arrays, key, always, tables = "messages", Messages, "message_id", False, ("conversations",)
    inputs = ("words",)

    def values(self, session, column):
        return [value for (value,) in session.execute(f"SELECT {column} FROM conversations").fetchall()]

    def make(self, source):
        rows = source.session.execute("SELECT message_id, message, intent FROM conversations ORDER BY 1").fetchall()
        ids, texts, intents = zip(*rows, strict=True)
        labels = values_of("messages", intents, len(ids), source.state)
        return Made(Messages(Texts.of(ids), np.arange(len(ids)), source.tokens(texts, 12), folds(ids), labels))


class Intent(Label):
    name, question, kinds, unit = "intent", "What does the customer want?", ("multiclass",), "messages"
    options, cluster, slices, reads = (), "message", (), ()

    def classes(self, task, values):
        return tuple(sorted(set(values("intent"))))

    def make(self, name, tasks, rows, classes):
        return np.array([classes.index(intent) for intent in rows], np.float32)


UNIT, LABEL = MessagesUnit(), Intent()
TASKS = {"click": {"kind": "binary", "label": "clicked"}, "intent": {"kind": "multiclass", "label": "intent"}}

if __name__ == "__main__":
    register(__file__, "messages", UNITS, LABELS)
    params, data, state = shop(TASKS, recommend={"order_by": "click"})
    print(f"{len(data.units['messages'].message):,} messages, {len(data.meta.classes['intent'])} intents.")
