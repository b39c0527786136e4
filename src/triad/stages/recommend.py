"""The lists the shop shows tomorrow, made by the champion."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.artifacts import ARTIFACTS, TABLES, replacing, write_json
from triad.errors import TriadError
from triad.tables import connect
from triad.tracking.registry import load_champion

if TYPE_CHECKING:
    from triad.config.params import Params

OUTPUT = ARTIFACTS / "recommend"
LOG = logging.getLogger("triad.recommend")


def recommend(params: Params) -> None:
    """Write `artifacts/recommend/recommendations.parquet` and `summary.json`.

    Raises:
        TriadError: there is no champion, or the tables or the model do not fit.
    """
    settings, named, start = params.recommend, params.publish, time.monotonic()
    LOG.info("%s", settings)
    champion = load_champion(named.model, named.alias)
    if champion is None:
        raise TriadError(
            f"no version has the alias {named.alias!r}: no challenger has passed yet",
            where=f"model {named.model}",
            mend="see artifacts/evaluate/report/report.html for what held it back; a PASS in `publish` sets the alias",
        )
    day = params.ingest.as_of
    moment = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    lists = champion.recommend(TABLES, settings, moment)
    summary = _summary(lists, champion.version) | {"as_of": day.isoformat(), "settings": settings.model_dump()}
    with replacing(OUTPUT) as folder:
        pq.write_table(lists, folder / "recommendations.parquet", compression="zstd")
        write_json(folder / "summary.json", summary)
    LOG.info(
        "%s rows for %s users by version %s · %.1f s · %s",
        f"{lists.num_rows:,}",
        f"{summary['users']:,}",
        champion.version,
        time.monotonic() - start,
        OUTPUT,
    )


def _summary(lists: pa.Table, version: str | None) -> dict[str, Any]:
    """Users served, how many of them have a history, and how much of the catalogue the lists show."""
    served = pc.unique(lists["user_id"])
    with connect(TABLES) as session:
        session.register("served", pa.table({"user_id": served}))
        row = session.execute("""
            SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM items),
                (SELECT count(*) FROM served WHERE user_id IN (SELECT user_id FROM events WHERE kind <> 'impression'))
        """).fetchone()
    users, items, known = row if row is not None else (0, 0, 0)
    return {
        "rows": lists.num_rows,
        "users": len(served),
        "users_without_list": users - len(served),
        "share_with_history": known / max(len(served), 1),
        "coverage": len(pc.unique(lists["item_id"])) / max(items, 1),
        "model_version": version,
    }
