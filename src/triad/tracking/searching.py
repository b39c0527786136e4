"""What the registered model answers to a query that somebody typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from triad.arrays import Bools
from triad.examples.dataset import Dataset
from triad.fusion.searching import Shown, search
from triad.texts import Texts
from triad.tracking.serving import midnight_after
from triad.tracking.standing import Standing

if TYPE_CHECKING:
    import duckdb

    from triad.tracking.serving import ServingModel


def searched(
    model: ServingModel, session: duckdb.DuckDBPyConnection, query: str, k: int, user_id: str = ""
) -> pa.Table:
    """At most `k` products that are on sale at the midnight after the newest event.

    Columns: rank (from 1), item_id, score, and match: whether all words were met, some, none, or a product's id
    (`search.retrieval`).

    Args:
        user_id: who asks, as the tables name them; "" or one that they lack: nobody that is known.

    Raises:
        TriadError: the model learned nothing of searches, or the tables do not fit the contract.
    """
    data, moment = model.standing(session), midnight_after(session)
    leaning = None
    if user_id:
        standing = Standing.of(session, model.state)
        leaning = standing.leaning(model.fused, int(standing.customers(Texts.of([user_id]))[0]))
    (shown,) = search(model.fused, data, [query], k, on_sale(data, moment), leaning=leaning)
    return listed(data.items.item_id, shown)


def on_sale(data: Dataset, moment: int) -> Bools:
    """(n_items,) whether each is available at `moment` (µs)."""
    return np.asarray(data.items.available_from) <= moment


def listed(item_ids: Texts, shown: Shown) -> pa.Table:
    """The table of `searched`."""
    return pa.table(
        {
            "rank": np.arange(1, len(shown.items) + 1),
            "item_id": pa.array(item_ids[shown.items], pa.string()),
            "score": np.asarray(shown.scores, np.float64),
            "match": pa.array([shown.match] * len(shown.items), pa.string()),
        }
    )
