"""Brands in search queries: whether a query names the item's brand, and which brands earlier queries named."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Floats, Ints
from triad.features.aggregates import Daily, daily
from triad.features.catalogue import Catalogue


@dataclass(frozen=True)
class Searches:
    """Brands named by queries. `width` is the room for a brand's code in a key."""

    naming: Ints  # (n,) query · width + brand, ascending
    width: int
    by_brand: Daily  # searches that named a brand, by user · width + brand
    by_user: Daily

    def columns(self, query: Ints, user: Ints, brand: Ints, day: Ints) -> dict[str, Floats]:
        """Each (n,). `query` is -1 where none was typed, `brand` -1 where the item has none."""
        key = np.where((query >= 0) & (brand >= 0), query.astype(np.int64) * self.width + brand, -1)
        names = np.isin(key, self.naming)
        names_any = np.isin(query, self.naming // self.width)
        pair = np.where(brand >= 0, user.astype(np.int64) * self.width + brand, -1)
        searches = self.by_brand.before(pair, day)["searches"]
        return {
            "query_names_brand": names.astype(np.float32),
            "query_names_other_brand": (names_any & ~names).astype(np.float32),
            "user_brand_searches": np.log1p(searches),
            "user_brand_search_share": searches / (self.by_user.before(user, day)["searches"] + 1),
        }


def read(session: duckdb.DuckDBPyConnection, known: Catalogue) -> Searches:
    """Find the brands' names, as whole words, in the queries of `activity`. A page of results counts once."""
    names, codes = known.brands.codes()
    brand = known.brand[np.unique(codes, return_index=True)[1]]
    brands = pa.table({"name": pa.array([name.lower() for name in names], pa.string()), "brand": brand})
    session.register("brand_name", brands)
    session.execute("""
        CREATE OR REPLACE TEMP TABLE named AS
        WITH spaced AS MATERIALIZED (SELECT query_no, ' ' || lower(query) || ' ' AS text FROM query_row),
        word AS (SELECT DISTINCT query_no, unnest(string_split(text, ' ')) AS word FROM spaced),
        met AS (
            SELECT query_no, brand, name
            FROM word JOIN (SELECT *, string_split(name, ' ')[1] AS first FROM brand_name WHERE brand >= 0)
                ON word = first
        )
        SELECT query_no, brand FROM met WHERE NOT contains(name, ' ')
        UNION SELECT query_no, brand FROM spaced JOIN (SELECT * FROM met WHERE contains(name, ' ')) USING (query_no)
            WHERE contains(text, ' ' || name || ' ')
    """)
    session.unregister("brand_name")
    width = len(known.item_id)
    source = "(SELECT DISTINCT user_no, brand, day, visit, query_no FROM activity JOIN named USING (query_no))"
    named = session.execute(f"SELECT query_no::BIGINT * {width} + brand AS key FROM named ORDER BY key").fetchnumpy()
    return Searches(
        naming=np.asarray(named["key"]),
        width=width,
        by_brand=daily(session, source, f"user_no::BIGINT * {width} + brand", {"searches": "1"}),
        by_user=daily(session, source, "user_no", {"searches": "1"}),
    )
