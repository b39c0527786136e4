"""`GET /importance`: what scores rest on over all customers, asked of the state that serves.

`fusion/importance.py` says how. The pairs are impressions with which the night's log ends, as if they were shown at
the night's moment: a served state holds no examples of its own. Of a shop without impressions, they are the first steps
that its log has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from triad.arrays import Floats
from triad.features.context import Rows
from triad.features.signals import SLOTS
from triad.fusion.fused import Fused
from triad.fusion.importance import ROWS, importance
from triad.schema import EVENT_KINDS
from triad.serving.holder import Holder, Served
from triad.serving.night import Night
from triad.tracking.inputs import opened
from triad.tracking.recommending import DAY
from triad.tracking.shown import as_shown

Told = dict[str, dict[str, dict[str, float]]]
DAYS = 7
"""Of the log, from which pairs are drawn."""
_PAIRS = """
    SELECT user_id, item_id, position, surface FROM events
    WHERE kind = ? AND epoch_us(occurred_at) >= ?
    ORDER BY md5(event_id) LIMIT ?
"""


def add(app: FastAPI, holder: Holder, said: Callable[..., JSONResponse]) -> None:
    """The path.

    Args:
        said: of a state and what is answered, the answer.
    """
    whole = Overall()

    @app.get("/importance", summary="What scores rest on over all customers, and how they go with price and time away")
    def told() -> JSONResponse:
        served = holder.now
        return said(served, tasks=rows_of(whole.of(served)))


class Overall:
    """Of whatever state is asked about, reckoned when it is first asked and kept until another serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Night | None = None
        self._told: Told = {}

    def of(self, served: Served) -> Told:
        """By task, as `importance` tells; nothing where the log's last days show nothing."""
        with self._lock:
            if self._of is not served.night:
                self._told, self._of = overall(served.night, served.lock), served.night
            return self._told


def overall(night: Night, lock: threading.Lock) -> Told:
    """`Overall.of`; `lock` is held for one question at a time, so that customers do not wait for all of them."""
    rows = _rows(night)
    if not len(rows.user):
        return {}
    data = as_shown(night.data, night.known, rows)
    return importance(cast(Fused, _Patient(night.model.fused, lock)), data, np.arange(len(rows.user)))


class _Patient:
    """A fusion that waits for its turn each time it is asked."""

    def __init__(self, fused: Fused, lock: threading.Lock) -> None:
        self.kinds, self.of_unit = fused.kinds, fused.of_unit
        self._fused, self._lock = fused, lock

    def predict(self, *asked: Any) -> dict[str, Floats]:
        with self._lock:
            return self._fused.predict(*asked)


def _rows(night: Night) -> Rows:
    known, streams = night.known, night.data.streams
    with opened(night.tables) as session:
        kind = EVENT_KINDS[min(known.funnel.kinds)]  # the first step that the log has
        listed = session.execute(_PAIRS, [kind, night.moment - DAYS * DAY, ROWS]).fetchall()
    pairs = [
        (night.users[user], night.items[item], at if known.funnel.shown else None, surface)
        for user, item, at, surface in listed
        if user in night.users and item in night.items
    ]
    user, item = (np.array([pair[place] for pair in pairs], np.int64) for place in (0, 1))
    count, offsets = len(pairs), np.asarray(streams.offsets)
    place = [night.places.get((surface or "", min(at or 0, SLOTS)), -1) for _, _, at, surface in pairs]
    return Rows(
        user=user,
        item=item,
        time=np.full(count, night.moment),
        history=(offsets[user + 1] - offsets[user]).astype(np.int32),
        position=np.array([np.nan if at is None else at for _, _, at, _ in pairs], np.float32),
        surface=np.array([known.surfaces.index(s) if s in known.surfaces else -1 for *_, s in pairs], np.int8),
        price=np.full(count, np.nan, np.float32),
        query=np.full(count, -1),
        place=np.array(place, np.int64),
    )


def rows_of(told: Told) -> list[dict[str, Any]]:
    """As the answer holds it: a task's figures as lists, in order."""
    names = {"rests_on": "of", "by_price": "at", "by_time_away": "after"}
    return [
        {"task": task}
        | {
            what: [{name: of, "value": value} for of, value in parts.get(what, {}).items()]
            for what, name in names.items()
        }
        for task, parts in told.items()
    ]
