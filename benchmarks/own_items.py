"""A pretrained network beside the rule "what the customer took before, each time halving in weight every 60 days".

`python benchmarks/own_items.py --split test --network artifacts/pretrain …` in a workspace whose stages `features` and
`pretrain` ran. It prints NDCG@10 of the lists over the whole catalogue, of the rule and of each network, with 95 %
intervals over users, and each network's gain over the rule, paired by user. Items of one basket tie under the rule; the
more popular in train comes first, as does what the customer never took. With ties against it, as lists are measured,
the rule has less. Several networks are seeds of one.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from triad.examples.dataset import Dataset, load
from triad.members.history import item_weights, look_back
from triad.members.sequence import Sequence
from triad.ranking import ndcg
from triad.statistics.bootstrap import draw, interval

K, BLOCK, EVER = 10, 1024, 1 << 40


def own_history(data: Dataset, users: np.ndarray, history: np.ndarray, ties: np.ndarray | float = 0.0) -> np.ndarray:
    """(q, n_items) the rule's scores; `ties` (n_items,) up to 1 order what it leaves equal."""
    states = look_back(data, users, history, recent=EVER, half_life_days=60)
    return item_weights(data, states)[states.inverse].toarray() + 1e-9 * ties


def values(data: Dataset, queries: np.ndarray, score) -> np.ndarray:
    """(q,) NDCG@K of each query's list; `score` is of users and their histories."""
    found, lists = [], data.lists
    for start in range(0, len(queries), BLOCK):
        rows = queries[start : start + BLOCK]
        wanted = [lists.target[lists.offsets[row] : lists.offsets[row + 1]] for row in rows]
        query = np.repeat(np.arange(len(rows)), [len(each) for each in wanted])
        found.append(ndcg(score(lists.user[rows], lists.history[rows]), query, np.concatenate(wanted), K))
    return np.concatenate(found)


def shown(one: np.ndarray, cluster: np.ndarray) -> str:
    """The mean with its interval over users."""
    sums = draw(int(cluster.max()) + 1, 1000, 1).totals(cluster, np.stack([one, np.ones(len(one))], axis=1))
    low, high = interval(sums[:, 0] / sums[:, 1], 0.95)
    return f"{one.mean():.4f} [{low:.4f}, {high:.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--features", type=Path, default=Path("artifacts/features"))
    parser.add_argument("--network", type=Path, nargs="+", default=[Path("artifacts/pretrain")])
    asked = parser.parse_args()
    data = load(asked.features)
    queries = data.rows(asked.split, "lists")
    _, cluster = np.unique(data.lists.user[queries], return_inverse=True)
    popularity = np.bincount(data.streams.item[data.streams.split == 0], minlength=len(data.items.item_id))
    print(f"{asked.split}: {len(queries):,} lists of {cluster.max() + 1:,} users")
    print(f"own history, ties against it {shown(values(data, queries, partial(own_history, data)), cluster)}")
    rule = values(data, queries, partial(own_history, data, ties=popularity / popularity.max()))
    print(f"own history, ties by popularity {shown(rule, cluster)}")
    networks = [values(data, queries, partial(Sequence.load(folder).logits, data)) for folder in asked.network]
    for folder, each in zip(asked.network, networks, strict=True):
        print(f"{folder} {shown(each, cluster)}, more than the rule by {shown(each - rule, cluster)}")
    mean = np.mean(networks, axis=0)
    print(f"networks {shown(mean, cluster)}, more than the rule by {shown(mean - rule, cluster)}")


if __name__ == "__main__":
    main()
