"""The questions to another model and its answers. They are ids and numbers, so any model can read its own tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Queries
from triad.fusion.fused import Fused
from triad.ranking import target_ranks
from triad.texts import Texts

_CELLS = 1 << 23  # scores of (query, item) held at once


@dataclass(frozen=True)
class Question:
    """Rows of each unit (n) to score, and places of targets (t) in the lists of queries (q) over a catalogue (m)."""

    rows: dict[str, Texts]  # unit → (n,) ids
    item_id: Texts  # (m,)
    user_id: Texts  # (q,)
    history: Ints  # (q,) interactions the user has had
    moment: Ints  # (q,) µs, when
    query: Ints  # (t,) ascending
    target: Ints  # (t,) places in item_id


@dataclass(frozen=True)
class Answers:
    """`tasks` as `Member.predict` over their units' rows, a class's column named in `classes`; `ranks` (t,) from 1."""

    tasks: dict[str, Floats]
    classes: dict[str, tuple[str, ...]]
    ranks: Ints | None


def answer(fused: Fused, theirs: Dataset, question: Question) -> Answers:
    """The answers of `fused`, which reads the tables as `theirs`.

    Raises:
        TriadError: its reading lacks a row, user or item that is asked about.
    """
    tasks: dict[str, Floats] = {}
    for unit, ids in question.rows.items():
        if unit in theirs.meta.tasks:  # what it was not taught it does not answer
            rows = _matched(getattr(theirs.units[unit], str(UNITS[unit].key)), ids, unit)
            tasks |= fused.predict(theirs, rows, unit=unit)
    classes = {task: tuple(theirs.meta.classes[task]) for task in tasks if task in theirs.meta.classes}
    if not fused.ranks:
        return Answers(tasks, classes, None)
    users = _matched(theirs.users.user_id, question.user_id, "users")
    ranker, queries = fused.ranker(theirs), Queries(users, question.history, question.moment)
    items = _matched(theirs.items.item_id, question.item_id, "items")
    step = max(1, _CELLS // max(len(theirs.items.item_id), 1))
    ranks: list[Ints] = [np.zeros(0, np.int64)]
    opened = ranker.open(queries, ranker.needed)
    for start in range(0, len(users), step):
        part = slice(start, start + step)
        first, last = np.searchsorted(question.query, [start, start + step])
        lists = ranker.mix(queries[part], opened(part))[:, items]
        ranks.append(target_ranks(lists, question.query[first:last] - start, question.target[first:last]))
    return Answers(tasks, classes, np.concatenate(ranks))


def _matched(known: Texts, wanted: Texts, what: str) -> Ints:
    places = known.places(wanted)
    missing = int((places < 0).sum())
    if missing:
        raise TriadError(
            f"the champion's reading of the tables lacks {missing:,} of {len(places):,} {what}",
            where="evaluate, champion",
            mend="ids or rules of rows changed since it was trained: start a new publish.model",
        )
    return places
