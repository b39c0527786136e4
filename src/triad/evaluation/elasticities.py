"""How demand truly moves with price in a simulated shop, by category. Real shops have no such truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from triad.artifacts import read_json
from triad.paths import pattern
from triad.tables import confine, scan


def true_elasticities(oracle: Path, tables: Path) -> Mapping[str, float]:
    """Category → mean over its impressions, by how likely each was to end in a purchase; empty where none is known.

    The category "" is the whole shop.
    """
    if not (oracle / "oracle.json").is_file() or not read_json(oracle / "oracle.json")["known"]:
        return {}
    if "elasticity" not in pq.read_schema(oracle / "exposures.parquet").names:  # a shop that other code simulated
        return {}
    with duckdb.connect() as session:
        confine(session, oracle, tables)
        rows = session.execute(
            f"""
            SELECT coalesce(category, ''), sum(p_purchase * elasticity), sum(p_purchase)
            FROM read_parquet(?) JOIN (SELECT event_id, item_id FROM {scan(tables, "events")}) USING (event_id)
                JOIN {scan(tables, "items")} USING (item_id) GROUP BY ALL ORDER BY ALL
            """,
            [pattern(oracle / "exposures.parquet")],
        ).fetchall()
    whole = sum(pull for _, pull, _ in rows) / sum(weight for *_, weight in rows)
    return {name: pull / weight for name, pull, weight in rows if name} | {"": whole}
