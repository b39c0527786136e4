"""Which of a customer's earlier deeds carry the scores of items, whatever models the scores are made of.

A deed is all that the customer did with one item; what is not told apart is one deed. Each is worth what scores gain by
it, on average over two orders in which deeds come in, one the reverse of the other (`statistics/shapley.py`). Such
shares sum to the score less that of the same customer without a history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from triad.arrays import Ints
from triad.serving.night import Visit
from triad.serving.without import without
from triad.statistics.shapley import coalitions, shares
from triad.statistics.solving import inside
from triad.tracking.recommending import DAY, nearness

MOST = 8
"""Deeds told apart, the last of which is all the others. Each costs two histories more."""
LATEST = 50
"""Items of the history that may be a deed of their own."""
ITEMS = 20
"""Items explained at once: always as many rows, so that networks compile once."""


@dataclass(frozen=True)
class Deed:
    """What the customer did with an item, and its share of a score."""

    item: int | None  # catalogue row; None: all the others, or that they did nothing at all
    kind: int  # the furthest that it went, a place in EVENT_KINDS; 0: the score without a history
    days: int  # since the last time
    value: float


def deeds(
    visit: Visit,
    items: Ints,
    log_odds: Mapping[str, bool],
    position: Sequence[int | None],
    surface: Sequence[str | None],
) -> dict[str, list[list[Deed]]]:
    """What each item's score of each task rests on, largest first; of the first `ITEMS` items, nothing of the others.

    Args:
        items: (n,) catalogue rows, shown at (n,) `position` on `surface`.
        log_odds: task → whether shares sum to the score's log odds, and not to the score.
    """
    told = min(len(items), ITEMS)
    if not told or not log_odds:
        return {task: [[] for _ in items] for task in log_odds}
    padded = (np.arange(ITEMS) % told).tolist()
    rows = visit.rows(items[padded], [position[at] for at in padded], [surface[at] for at in padded])
    owner, player = _players(visit, items[:told])
    kept = coalitions(MOST)[:, player]
    scores = visit.night.model.fused.predict(without(visit, rows, kept), np.arange(len(kept) * ITEMS), list(log_odds))
    kind, days = _furthest(visit, player), _since(visit, player)
    by_task = {}
    for task, in_odds in log_odds.items():
        values = np.asarray(logit(inside(scores[task])) if in_odds else scores[task]).reshape(len(kept), ITEMS)
        worth = shares(values)
        parts = [
            [Deed(None, 0, 0, float(values[0, at]))]
            + [Deed(owner[p], kind[p], days[p], float(worth[p, at])) for p in range(MOST) if worth[p, at]]
            for at in range(told)
        ]
        by_task[task] = [sorted(each, key=lambda deed: -abs(deed.value)) for each in parts]
        by_task[task] += [[] for _ in items[told:]]
    return by_task


def _players(visit: Visit, items: Ints) -> tuple[list[int | None], Ints]:
    """The item of each deed, and (steps,) the deed that each step belongs to.

    Deeds of their own are those with the items nearest to `items`, and then the latest.
    """
    item = _of_streams(visit, "item")
    latest = np.array(list(dict.fromkeys(item[::-1].tolist()))[:LATEST], np.int64)
    named = list[int]()
    if len(latest):
        near = nearness(visit.data.items, items, np.tile(latest, (len(items), 1)))
        best, votes = np.unique(near.argmax(axis=1)[near.max(axis=1) > 0], return_counts=True)
        named = latest[best[np.argsort(-votes, kind="stable")]][: MOST - 1].tolist()
    named += [each for each in latest.tolist() if each not in named][: MOST - 1 - len(named)]
    named.sort(key=latest.tolist().index)
    place = {each: player for player, each in enumerate(named)}
    player = np.array([place.get(each, MOST - 1) for each in item.tolist()], np.int64)
    return [*named, *([None] * (MOST - len(named)))], player


def _furthest(visit: Visit, player: Ints) -> list[int]:
    most = np.zeros(MOST, np.int64)
    np.maximum.at(most, player, _of_streams(visit, "kind"))
    return [int(kind) for kind in most]


def _since(visit: Visit, player: Ints) -> list[int]:
    """Midnights between the last time and now."""
    last = np.full(MOST, visit.moment)
    last[player] = _of_streams(visit, "time")  # steps come in order: the last one stays
    return [int(days) for days in visit.moment // DAY - last // DAY]


def _of_streams(visit: Visit, name: str) -> Ints:
    streams = visit.data.streams
    mine = slice(int(streams.offsets[visit.user]), int(streams.offsets[visit.user + 1]))
    return np.asarray(getattr(streams, name)[mine])
