"""What a customer leans to: how much more they take of a category or a brand than everybody does of late.

With these, how often an item sells is a guess at how often it sells to this customer (naive Bayes). Trees find products
of shares hard to learn from a few thousand lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Candidates, Queries
from triad.fusion.steps import Steps, places_in
from triad.fusion.takings import Takings

OVER, PRIOR = 28, 5.0
"""Days over which takings count, and interactions of everybody that a customer's own share begins with."""
ITEM = ("item_share_of_category", "item_share_of_brand")
BOTH = ("lift_of_category", "lift_of_brand", "leaning")


@dataclass(frozen=True)
class Group:
    """Items that share a category or a brand."""

    of_item: Ints  # (n_items,)
    takings: Takings  # of groups


class Groups:
    """The narrowest category and the brand of the items of a dataset, and everything."""

    def __init__(self, data: Dataset, takings: Takings) -> None:
        category, brand = np.asarray(data.items.category)[:, -1], np.asarray(data.items.brand)
        self.takings = takings
        self.every = takings.grouped(np.zeros(takings.items, np.int64))
        self.by: Mapping[str, Group] = {
            name: Group(each.astype(np.int64), takings.grouped(each)) for name, each in (("c", category), ("b", brand))
        }

    def of(self, steps: Steps, queries: Queries, candidates: Candidates) -> tuple[list[Floats], list[Floats]]:
        """(p,) columns `ITEM` and `BOTH`."""
        query, item, day = candidates.query, candidates.item, self.takings.day(queries.moment)
        count = np.bincount(steps.query, minlength=len(queries))[query]
        times = self.takings.taken(item, day[query], OVER)
        total = self.every.taken(np.zeros(len(queries), np.int64), day, OVER)[query]
        shares, lifts = [], []
        for group in self.by.values():
            mine = group.of_item[item]
            sold = group.takings.taken(mine, day[query], OVER)
            key, often = np.unique(steps.query * group.takings.items + group.of_item[steps.item], return_counts=True)
            at, known = places_in(key, query * group.takings.items + mine)
            own = np.where(known, np.append(often, 0)[at], 0)
            usual = (sold + 1) / (total + group.takings.items)
            shares.append(np.log((times + 0.5) / (sold + 1)))
            lifts.append(np.log((own + PRIOR * usual) / ((count + PRIOR) * usual)))
        return shares, [*lifts, np.log(times + 0.5) + lifts[0] + lifts[1]]
