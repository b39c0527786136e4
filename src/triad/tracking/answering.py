"""What a registered model answers to messages: each one's intent and reply, or that it refuses.

A reply is one that the shop gave before, word for word but for masks, with the message that speaks most for it. What is
not sure enough is refused: the confidence that is asked for was chosen with the fusion.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from triad.arrays import Floats, Ints
from triad.config.members import RECIPES
from triad.errors import TriadError
from triad.examples.dataset import Dataset, nobody
from triad.examples.messages import UNIT, WORDS, Messages, read
from triad.features.entities import tokens
from triad.members.protocol import Sourced
from triad.texts import Texts

if TYPE_CHECKING:
    from triad.features.state import State
    from triad.fusion.fused import Fused


def answers(state: State, fused: Fused, ids: Sequence[str], said: Sequence[str]) -> pa.Table:
    """A row a message: message_id; of each task its answer (null: refused) and `_score`, the confidence in it; of
    replies also `_source`, the id of an earlier message that was answered so.

    Raises:
        TriadError: the model was not taught to answer messages.
    """
    data = _dataset(state, ids, said)
    tasks = [task for task in fused.of_unit(data, UNIT.name) if task in fused.thresholds]
    if not tasks:
        mend = "add tasks of the unit `messages` to params.yaml, and let a night train them"
        raise TriadError("the model answers no messages", where="params.mode", mend=mend)
    rows, columns = np.arange(len(ids)), {"message_id": pa.array(ids, pa.string())}
    scores = fused.predict(data, rows, tasks, UNIT.name)
    texts: dict[str, str] = state.learned.get(UNIT.name, {}).get("texts", {})
    for task in tasks:
        classes = data.meta.classes[task]
        chosen = 1 + scores[task][:, 1:].argmax(axis=1)
        score = scores[task][rows, chosen]
        sure = score >= fused.thresholds[task]
        named = [
            texts.get(classes[place], classes[place]) if is_sure else None
            for place, is_sure in zip(chosen, sure, strict=True)
        ]
        columns |= {task: pa.array(named, pa.string()), f"{task}_score": pa.array(score, pa.float64())}
        if texts.keys() & set(classes):
            source = _sources(fused, data, rows, task, chosen)
            kept = [each if is_sure else None for each, is_sure in zip(source, sure, strict=True)]
            columns[f"{task}_source"] = pa.array(kept, pa.string())
    return pa.table(columns)


def scores_of(state: State, fused: Fused, said: Sequence[str], tasks: Collection[str]) -> dict[str, Floats]:
    """Task → (n, classes) probabilities of messages; place 0 is none of the known answers."""
    return fused.predict(_dataset(state, [""] * len(said), said), np.arange(len(said)), tasks, UNIT.name)


def _sources(fused: Fused, data: Dataset, rows: Ints, task: str, chosen: Ints) -> list[str | None]:
    for name in fused.members:
        if name in RECIPES and "Sourced" not in RECIPES[name].protocols:
            continue  # so that its files are not read
        if isinstance(member := fused.members[name], Sourced):
            return member.sources(data, rows, task, chosen)
    return [None] * len(rows)


def _dataset(state: State, ids: Sequence[str], said: Sequence[str]) -> Dataset:
    """The messages, of nobody and about nothing: a message stands alone."""
    text = read(said)
    labels: Floats = np.full((len(ids), len(state.meta.tasks.get(UNIT.name, ()))), np.nan, np.float32)
    own = Messages(
        message_id=Texts.of(ids),
        text=text,
        message=text.codes()[1],
        tokens=tokens(text, state.vocabularies["token"], WORDS),
        split=np.full(len(ids), -1, np.int8),
        labels=labels,
    )
    return nobody(state.meta, {UNIT.name: own})
