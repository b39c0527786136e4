"""The lists the shop shows tomorrow, made by the champion."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from triad.artifacts import ARTIFACTS, TABLES, replacing, write_json
from triad.errors import TriadError
from triad.paths import sql_text
from triad.privacy import forgotten
from triad.tables import connect
from triad.tracking.registry import load_champion
from triad.tracking.serving import RECOMMENDATIONS

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.config.recommend import RecommendParams

OUTPUT = ARTIFACTS / "recommend"
LOG = logging.getLogger("triad.recommend")


def recommend(params: Params) -> None:
    """Write `artifacts/recommend/recommendations.parquet` and `summary.json`; no rows as long as no model has passed.

    Raises:
        TriadError: the tables or the model do not fit.
    """
    settings, named, start = params.recommend, params.publish, time.monotonic()
    LOG.info("%s", settings)
    champion = load_champion(named.model, named.alias)
    day = params.ingest.as_of
    moment = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    if champion is None:  # the gate holding a shop's first models back is an answer, and no failure of the night
        LOG.warning(
            "no lists: no version of %s has passed yet; artifacts/evaluate/report/report.html says what held it back",
            named.model,
        )
        lists, version = RECOMMENDATIONS.empty_table(), None
    else:
        lists, version = champion.recommend(TABLES, _with_stock(settings), moment), champion.version
    lists = forgotten.read().without(lists)  # the tables may be older than a wish to be forgotten
    summary = _summary(lists, version) | {"as_of": day.isoformat(), "settings": settings.model_dump()}
    with replacing(OUTPUT) as folder:
        pq.write_table(lists, folder / "recommendations.parquet", compression="zstd")
        write_json(folder / "summary.json", summary)
    LOG.info(
        "%s rows for %s users by version %s · %.1f s · %s",
        f"{lists.num_rows:,}",
        f"{summary['users']:,}",
        version,
        time.monotonic() - start,
        OUTPUT,
    )


def _with_stock(settings: RecommendParams) -> RecommendParams:
    """`settings` that hide what is out of stock.

    Raises:
        TriadError: the file is not there, or has no column item_id.
    """
    if settings.out_of_stock is None:
        return settings
    path = Path(settings.out_of_stock)
    try:
        if path.suffix == ".parquet":
            ids = pq.read_table(path, columns=["item_id"])["item_id"].cast(pa.string())
        else:
            options = csv.ConvertOptions(column_types={"item_id": pa.string()}, include_columns=["item_id"])
            ids = csv.read_csv(path, convert_options=options)["item_id"]
    except (OSError, pa.ArrowException) as error:
        raise TriadError(
            f"cannot be read: {error}",
            where=f"recommend.out_of_stock: {path}",
            mend="name a CSV or Parquet file with a column item_id, or null",
        ) from error
    gone = ", ".join(map(sql_text, pc.unique(ids.drop_null()).to_pylist()))
    LOG.info("%s items are out of stock", f"{len(ids):,}")
    condition = f"({settings.hide or 'false'}) OR item_id IN ({gone})" if gone else settings.hide
    return settings.model_copy(update={"hide": condition})


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
