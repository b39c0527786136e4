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
from triad.privacy import forgotten
from triad.tables import connect
from triad.tracking import stock
from triad.tracking.cluster import choosing_of
from triad.tracking.registry import load_champion
from triad.tracking.serving import RECOMMENDATIONS, ServingModel
from triad.tracking.shelf import hidden
from triad.tracking.shop_pages import pages

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.config.recommend import RecommendParams
    from triad.tracking.packaged import Packaged

OUTPUT = ARTIFACTS / "recommend"
LOG = logging.getLogger("triad.recommend")


def recommend(params: Params) -> None:
    """Write `recommendations.parquet`, the lists of product pages and `summary.json` to `artifacts/recommend`.

    There are no recommendations as long as no model has passed.

    Raises:
        TriadError: the tables or the model do not fit.
    """
    settings, named, start = stock.with_stock(params.recommend), params.publish, time.monotonic()
    LOG.info("%s", params.recommend)
    with connect(TABLES) as session:
        hidden(session, params.recommend.hide)  # by itself: with what is out of stock, a number passes for a condition
        stock.tell(session, params.recommend)
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
        lists, version = _lists(params, champion, settings, moment), champion.version
        if not len(lists):
            LOG.warning("all lists are empty: recommend.hide, out_of_stock and the days of items leave nothing to show")
    lists = forgotten.read().without(lists)  # the tables may be older than a wish to be forgotten
    summary = _summary(lists, version) | {"as_of": day.isoformat(), "settings": params.recommend.model_dump()}
    with replacing(OUTPUT) as folder:
        for name, pages in _product_pages(settings, moment).items():
            pq.write_table(pages, folder / f"{name}.parquet", compression="zstd")
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


def _lists(params: Params, champion: ServingModel | Packaged, settings: RecommendParams, moment: int) -> pa.Table:
    """By the engine that `runtime` names. A version of other code is asked through its package, on this machine."""
    if not isinstance(champion, ServingModel) or champion.fuse is None:
        return champion.recommend(TABLES, settings, moment)
    with choosing_of(params, champion.fuse, TABLES, [champion.version, settings, moment]) as choosing:
        return champion.recommend(TABLES, settings, moment, choosing)


def _product_pages(settings: RecommendParams, moment: int) -> dict[str, pa.Table]:
    with connect(TABLES) as session:
        ids, lists = pages(session, settings, moment)
    return {
        name: pa.table(
            {
                "item_id": pa.array(ids[each.item], pa.string()),
                "rank": each.rank,
                "other_id": pa.array(ids[each.other], pa.string()),
                "score": each.score,
                "visits": each.visits,
            }
        )
        for name, each in lists.items()
    }


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
