"""The unit `searches`: a query and a product, and how well it answers. The texts of the catalogue lie beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.examples.base import Made, Unit
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb

    from triad.examples.dataset import Dataset
    from triad.features.source import Source


@dataclass(frozen=True)
class Searches:
    """(n,) pairs of a query and a product, by query; (queries,) what was typed; (n_items,) what products say."""

    row_id: Texts  # (n,) the query's digest and the product's id
    query: Ints  # (n,) place in `queries`
    item: Ints  # (n,) catalogue row
    split: Ints  # (n,) the query's fold: no query is learned from and judged on
    labels: Floats  # (n, tasks) grades
    judged: Bools  # (n,) whether somebody graded the pair; else clicks did
    queries: Texts  # (queries,) what was typed
    typed: Ints  # (queries,) how often customers typed it in train
    title: Texts  # (n_items,)
    description: Texts
    category: Texts
    brand: Texts

    @property
    def texts(self) -> dict[str, Texts]:
        """What products say, by field."""
        return {name: getattr(self, name) for name in ("title", "description", "category", "brand")}


class _Unit(Unit):
    name = "searches"
    arrays = Searches
    key = "row_id"
    always = False
    tables = ()  # `searches`, or queries in events
    inputs = ()  # no network reads them

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        return ()

    def make(self, source: Source) -> Made:
        from triad.features.search_pairs import make

        arrays = make(source)
        return Made(arrays, {"judged": bool(arrays.judged.all())})

    def slices(self, data: Dataset, rows: Ints) -> list[tuple[str, str, Bools]]:
        """By how many words a query has, and by how often customers typed it."""
        from triad.search.words import query_words

        held: Searches = data.units[self.name]
        query = np.asarray(held.query)[rows]
        length = np.array([len(query_words(text)) for text in held.queries])[query]
        typed = np.asarray(held.typed)[query]
        return [
            ("query length", "one or two words", length <= 2),
            ("query length", "three words or more", length > 2),
            ("query frequency", "never typed in train", typed == 0),
            ("query frequency", "typed before", typed > 0),
        ]


def asked(data: Dataset, queries: Sequence[str], query: Ints, item: Ints) -> Dataset:
    """`data` whose pairs are these: `query` (n,) places in `queries`, `item` (n,) catalogue rows. Nothing is known."""
    held: Searches = data.units[UNIT.name]
    count = len(query)
    pairs = replace(
        held,
        row_id=Texts.of([""] * count),
        query=query,
        item=item,
        split=np.full(count, -1, np.int8),
        labels=np.full((count, held.labels.shape[1]), np.nan, np.float32),
        judged=np.zeros(count, bool),
        queries=Texts.of(queries),
        typed=np.zeros(len(queries), np.int64),
    )
    return data.replaced(**{UNIT.name: pairs})


UNIT = _Unit()
