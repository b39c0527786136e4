"""Members, the fusion and the re-ranked lists beside the rule "what the customer took before, halving every 60 days".

`python benchmarks/own_history.py --split test` in a workspace whose stages `features` and `fuse` ran. It prints NDCG@10
of the lists over the whole catalogue, of the rule and of each model, with 95 % intervals over users, and what
each one gains over the rule and over the best member, paired by user. Items of one basket tie under the rule; the more
popular in train comes first, as does what the customer never took. With ties against it, as lists are measured, the
rule has less.
`--network FOLDER …` asks pretrained networks in place of a fusion; several are seeds of one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from triad.examples.dataset import Dataset, load
from triad.fusion.candidates import Queries, lists_of
from triad.fusion.fused import Fused
from triad.fusion.ranker import Ranker
from triad.members.history import item_weights, look_back
from triad.ranking import ndcg
from triad.statistics.bootstrap import draw, interval

K, BLOCK, EVER = 10, 1024, 1 << 40
FUSIONS = ("weighed", "served")
Score = Callable[[Queries], np.ndarray]


def own_history(data: Dataset, ties: np.ndarray | float, queries: Queries) -> np.ndarray:
    """(q, n_items) the rule's scores; `ties` (n_items,) up to 1 order what it leaves equal."""
    states = look_back(data, queries.users, queries.history, recent=EVER, half_life_days=60)
    return item_weights(data, states)[states.inverse].toarray() + 1e-9 * ties


def values(data: Dataset, queries: np.ndarray, score) -> np.ndarray:
    """(q,) NDCG@K of each query's list; `score` is of `Queries`."""
    found, lists = [], data.lists
    for start in range(0, len(queries), BLOCK):
        rows = queries[start : start + BLOCK]
        wanted = [lists.target[lists.offsets[row] : lists.offsets[row + 1]] for row in rows]
        query = np.repeat(np.arange(len(rows)), [len(each) for each in wanted])
        found.append(ndcg(score(lists_of(data, rows)), query, np.concatenate(wanted), K))
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
    parser.add_argument("--fuse", type=Path, default=Path("artifacts/fuse"))
    parser.add_argument("--network", type=Path, nargs="+", default=[])
    asked = parser.parse_args()
    data = load(asked.features)
    queries = data.rows(asked.split, "lists")
    _, cluster = np.unique(data.lists.user[queries], return_inverse=True)
    popularity = np.bincount(data.streams.item[data.streams.split == 0], minlength=len(data.items.item_id))
    print(f"{asked.split}: {len(queries):,} lists of {cluster.max() + 1:,} users")
    print(f"own history, ties against it {shown(values(data, queries, partial(own_history, data, 0.0)), cluster)}")
    rule = values(data, queries, partial(own_history, data, popularity / popularity.max()))
    print(f"own history, ties by popularity {shown(rule, cluster)}")
    models = networks(data, asked.network) if asked.network else fusion(data, asked.fuse)
    found = {name: values(data, queries, score) for name, score in models.items()}
    if asked.network:
        found["networks"] = np.mean(list(found.values()), axis=0)
    for name, each in found.items():
        print(f"{name} {shown(each, cluster)}, more than the rule by {shown(each - rule, cluster)}")
    if not asked.network:
        best = max((name for name in found if name not in FUSIONS), key=lambda name: found[name].mean())
        for name in FUSIONS:
            print(f"{name}: more than {best} by {shown(found[name] - found[best], cluster)}")


def networks(data: Dataset, folders: list[Path]) -> dict[str, Score]:
    """Pretrained networks, by their folders."""
    from triad.members.sequence import Sequence  # imports TensorFlow

    found = {str(folder): Sequence.load(folder) for folder in folders}
    return {name: partial(_logits, data, network) for name, network in found.items()}


def _logits(data: Dataset, network: Any, queries: Queries) -> np.ndarray:
    return network.logits(data, queries.users, queries.history, moment=queries.moment)


def fusion(data: Dataset, folder: Path) -> dict[str, Score]:
    """Each member that ranks, what the members' weights make of them, and what serves."""
    ranker = Fused.load(folder).ranker(data)
    members = {name: partial(alone, ranker, name) for name in ranker.calibrations}
    return members | {"weighed": replace(ranker, reranker=None).rank, "served": ranker.rank}


def alone(ranker: Ranker, name: str, queries: Queries) -> np.ndarray:
    """(q, n_items) what one member says."""
    return ranker.open(queries, [name])(slice(None))[name].table()


if __name__ == "__main__":
    main()
