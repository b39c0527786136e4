"""The two lists of every product's page, from the shop's tables."""

from __future__ import annotations

import duckdb
import numpy as np

from triad.config.recommend import RecommendParams
from triad.texts import Texts
from triad.tracking import product_pages
from triad.tracking.product_pages import Descriptions, Neighbours, filled, met
from triad.tracking.shelf import on_shelf


def pages(
    session: duckdb.DuckDBPyConnection, settings: RecommendParams, moment: int
) -> tuple[Texts, dict[str, Neighbours]]:
    """The items' ids, and `similar_items` and `bought_together` of what may be shown to anyone; none if so set."""
    may, ids = on_shelf(session, moment, settings.hide)
    count = settings.page_items
    if not count:
        return ids, {}
    what = Descriptions.of(session)
    seen_in, bought_in = (product_pages.visits(session, purchases=only)[0] for only in (False, True))
    seen, bought = (met(each, count, may) for each in (seen_in, bought_in))
    short = np.flatnonzero(np.bincount(seen.item, minlength=len(may)) < count)
    rule = product_pages.popular(what, bought_in, count, may)
    return ids, {
        "similar_items": filled(seen, product_pages.described(what, short, count, may), count),
        "bought_together": filled(filled(bought, seen, count), rule, count),
    }
