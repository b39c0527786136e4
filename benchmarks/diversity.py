"""What varied lists cost: NDCG@10 of test lists by `recommend.diversity`, and how many categories and brands they show.

    python benchmarks/diversity.py [--lists 1000] [--spread 0 0.1 0.2 0.3 0.5]

In a workspace whose stages `features` and `fuse` ran. The 50 best of each list, in the order that serves, are arranged
by maximal marginal relevance as `recommend` does. Nothing is chosen here. 95 % intervals over users, paired.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from own_history import K, shown

from triad.config.recommend import RecommendParams
from triad.examples.dataset import load
from triad.fusion.candidates import lists_of
from triad.fusion.fused import Fused
from triad.tracking.arranging import Lists
from triad.tracking.recommending import Pairs, top
from triad.tracking.retrieving import best

CANDIDATES, BLOCK = 50, 256


def ndcg(lists: Lists, count: int, wanted: list[np.ndarray]) -> np.ndarray:
    """(count,) of the first `K` places; `lists` name the queries 0 … count - 1 as users."""
    head = lists[lists.rank <= K]
    hit = np.array([item in wanted[q] for q, item in zip(head.pairs.user, head.pairs.item, strict=True)])
    gain = np.bincount(head.pairs.user, hit / np.log2(head.rank + 1), minlength=count)
    ideal = np.cumsum(1 / np.log2(np.arange(2, K + 2)))
    return gain / ideal[np.minimum([len(each) for each in wanted], K) - 1]


def distinct(lists: Lists, count: int, group: np.ndarray) -> np.ndarray:
    """(count,) different groups (n_items,) among the first `K` places."""
    head = lists[lists.rank <= K]
    pairs = np.unique(np.stack([head.pairs.user, group[head.pairs.item]]), axis=1)
    return np.bincount(pairs[0], minlength=count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=1000, help="of the test window, a sample")
    parser.add_argument("--spread", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.3, 0.5])
    asked = parser.parse_args()
    data, fused = load(Path("artifacts/features")), Fused.load(Path("artifacts/fuse"))
    rows = data.rows("test", "lists")
    if len(rows) > asked.lists:
        rows = np.sort(np.random.default_rng(1).choice(rows, asked.lists, replace=False))
    queries, ranker, order = lists_of(data, rows), fused.ranker(data), np.arange(len(data.items.item_id))
    opened, parts = ranker.open(queries, ranker.needed), []
    for start in range(0, len(rows), BLOCK):
        part = slice(start, min(start + BLOCK, len(rows)))
        mask = np.ones((part.stop - start, len(order)), bool)
        found = best(ranker, queries[part], opened(part), mask, order=order, count=CANDIDATES)
        parts.append(replace(found, user=found.user + start))
    ranked = Lists.of(*top(Pairs.joined(parts), order, CANDIDATES))
    wanted = [data.lists.target[data.lists.offsets[row] : data.lists.offsets[row + 1]] for row in rows]
    groups = np.stack([np.asarray(data.items.category)[:, 0], np.asarray(data.items.brand)], axis=1)
    _, cluster = np.unique(data.lists.user[rows], return_inverse=True)
    print(f"{len(rows):,} lists of {cluster.max() + 1:,} users\n")
    print("| diversity | NDCG@10 | less than without | categories in 10 | brands in 10 |\n|---|---|---|---|---|")
    plain = ndcg(ranked.arranged(groups, RecommendParams(k=K)), len(rows), wanted)
    for spread in asked.spread:
        lists = ranked.arranged(groups, RecommendParams(k=K, diversity=spread))
        worth = ndcg(lists, len(rows), wanted)
        kinds = [distinct(lists, len(rows), group).mean() for group in groups.T]
        lost = shown(plain - worth, cluster) if spread else "–"
        print(f"| {spread:g} | {shown(worth, cluster)} | {lost} | {kinds[0]:.2f} | {kinds[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
