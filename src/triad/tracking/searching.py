"""What the registered model answers to a query that somebody typed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.features import build
from triad.features.signals import slots
from triad.features.sql import DAY
from triad.fusion.searching import Leaning, search
from triad.texts import Texts
from triad.tracking.leaning import leaning_of
from triad.tracking.serving import busiest, midnight_after
from triad.tracking.shown import first_on_page, with_guest

if TYPE_CHECKING:
    import duckdb

    from triad.tracking.serving import ServingModel


def searched(
    model: ServingModel, session: duckdb.DuckDBPyConnection, query: str, k: int, user_id: str = ""
) -> pa.Table:
    """At most `k` products that are on sale at the midnight after the newest event.

    Columns: rank (from 1), item_id, score, and match: whether all words were met, some, or none (`search.retrieval`).

    Args:
        user_id: who asks, as the tables name them; "" or one that they lack: nobody that is known.

    Raises:
        TriadError: the model learned nothing of searches, or the tables do not fit the contract.
    """
    moment = midnight_after(session)
    data = model.standing(session)
    may, leaning = np.asarray(data.items.available_from) <= moment, _leaning(model, session, moment, user_id)
    (shown,) = search(model.fused, data, [query], k, may, leaning=leaning)
    return pa.table(
        {
            "rank": np.arange(1, len(shown.items) + 1),
            "item_id": pa.array(data.items.item_id[shown.items], pa.string()),
            "score": np.asarray(shown.scores, np.float64),
            "match": pa.array([shown.match] * len(shown.items), pa.string()),
        }
    )


def _leaning(model: ServingModel, session: duckdb.DuckDBPyConnection, moment: int, user_id: str) -> Leaning | None:
    if not user_id:
        return None
    data, known = build.standing(session, model.state, moment // DAY)
    row = int(data.users.user_id.places(Texts.of([user_id]))[0])
    if row < 0:
        return None
    data, known = with_guest(data, known, moment)
    shown = first_on_page(data, known, moment, busiest(session), slots(session) if known.places else {})

    def to(user: int, items: Ints) -> Dataset:
        return shown(np.full(len(items), user), items)

    return leaning_of(model.fused, partial(to, row), partial(to, len(data.users.user_id) - 1))
