"""What the registered model answers to a query that somebody typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from triad.fusion.searching import search
from triad.tracking.serving import midnight_after

if TYPE_CHECKING:
    import duckdb

    from triad.tracking.serving import ServingModel


def searched(model: ServingModel, session: duckdb.DuckDBPyConnection, query: str, k: int) -> pa.Table:
    """At most `k` products that are on sale at the midnight after the newest event.

    Columns: rank (from 1), item_id, score, and match: whether all words were met, some, or none (`search.retrieval`).

    Raises:
        TriadError: the model learned nothing of searches, or the tables do not fit the contract.
    """
    moment = midnight_after(session)
    data = model.standing(session)
    (shown,) = search(model.fused, data, [query], k, np.asarray(data.items.available_from) <= moment)
    return pa.table(
        {
            "rank": np.arange(1, len(shown.items) + 1),
            "item_id": pa.array(data.items.item_id[shown.items], pa.string()),
            "score": np.asarray(shown.scores, np.float64),
            "match": pa.array([shown.match] * len(shown.items), pa.string()),
        }
    )
