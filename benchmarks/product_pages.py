"""Do the lists of product pages hold what is taken in the same visit? Beside them, the most taken of the category.

`python benchmarks/product_pages.py` in a workspace whose stages up to `features` ran. The lists are made of the days
before those of a split. Each visit of these days with two items or more gives a question an item: how many of the
others are among the ten of its page. It prints the mean share with a 95 % interval over customers, and the
paired difference.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import TABLES
from triad.examples.dataset import load
from triad.statistics.bootstrap import draw, interval
from triad.tables import connect
from triad.tracking.product_pages import Descriptions, Neighbours, described, filled, met, popular, visits

COUNT = 10


def asked(session: duckdb.DuckDBPyConnection, days: tuple[int, int], *, purchases: bool) -> tuple[Ints, Ints, Ints]:
    """Of these days: the customer, visit and item of each item of a visit with two or more. (n,) each."""
    taken, customers = visits(session, purchases=purchases, days=days)
    visit, item = taken.tocoo().coords
    several = np.bincount(visit)[visit] > 1
    return customers[visit[several]], visit[several], item[several]


def shares(lists: Neighbours, visit: Ints, item: Ints) -> Floats:
    """(n,) the share of the visit's other items that the page of each item holds."""
    items = int(max(item.max(), lists.item.max(), lists.other.max())) + 1
    member = np.zeros((visit.max() + 1, items), bool)
    member[visit, item] = True
    width = np.full((items, COUNT), -1)
    width[lists.item, lists.rank - 1] = lists.other
    on_page = width[item]
    held = (on_page >= 0) & member[visit[:, None], on_page]
    return held.sum(axis=1) / np.minimum(np.bincount(visit)[visit] - 1, COUNT)


def shown(values: Floats, cluster: Ints) -> str:
    """The mean with its interval over customers."""
    _, cluster = np.unique(cluster, return_inverse=True)
    sums = draw(int(cluster.max()) + 1, 1000, 1).totals(cluster, np.stack([values, np.ones(len(values))], axis=1))
    low, high = interval(sums[:, 0] / sums[:, 1], 0.95)
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def pages(session: duckdb.DuckDBPyConnection, last: int, *, purchases: bool) -> tuple[Neighbours, Neighbours]:
    """The lists that the stage `recommend` writes, and the rule of a shop, of what happened before `last` (µs)."""
    what, before = Descriptions.of(session), (0, last)
    may, seen_in = np.ones(len(what.brand), bool), visits(session, purchases=False, days=before)[0]
    seen = met(seen_in, COUNT, may)
    if not purchases:
        short = np.flatnonzero(np.bincount(seen.item, minlength=len(may)) < COUNT)
        return filled(seen, described(what, short, COUNT, may), COUNT), popular(what, seen_in, COUNT, may)
    bought_in = visits(session, purchases=True, days=before)[0]
    rule = popular(what, bought_in, COUNT, may)
    return filled(filled(met(bought_in, COUNT, may), seen, COUNT), rule, COUNT), rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="test", choices=["validation", "fusion", "test"])
    split, windows = parser.parse_args().split, load(Path("artifacts/features")).meta.windows
    with connect(TABLES) as session:
        for name, purchases in (("similar items", False), ("bought together", True)):
            customer, visit, item = asked(session, windows[split], purchases=purchases)
            if not len(item):
                print(f"{name}: no visit of the {split} days holds two items")
                continue
            lists = pages(session, windows[split][0], purchases=purchases)
            ours, rule = (shares(each, visit, item) for each in lists)
            print(f"{name}: {len(item):,} questions of {len(np.unique(visit)):,} visits of the {split} days")
            print(f"  page {shown(ours, customer)}, rule {shown(rule, customer)}, gain {shown(ours - rule, customer)}")


if __name__ == "__main__":
    main()
