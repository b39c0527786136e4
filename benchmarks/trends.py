"""What does a simulated shop's model lose by being old? Two of the simplest ones, fitted up to some day, asked later.

    python benchmarks/trends.py [--size small] [--seeds 1 2 3 4 5] [--strengths 0 0.5 1 2]

`popularity` orders what is on sale by its clicks, `transitions` by how often a click on it followed one on the
customer's last item, popularity behind. Each is fitted on the train days alone, as members of an evaluated model are,
and on all days before the test window, as after a refit. Both are asked for each next click of a customer in the test
window: NDCG@10 against the whole shelf. Beside it, of items first seen after the train days: their share of the shelf
at the window's end, and of impressions, clicks and purchases of the test window. Nothing is learned from the truth.
"""

from __future__ import annotations

import argparse
from datetime import date

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix
from scipy.stats import t as student

from triad.arrays import Bools, Floats, Ints
from triad.config.ingest import IngestParams, SimulatedParams
from triad.sources.simulated import simulate

AS_OF, DAYS, TRAIN, TEST = date(2026, 3, 1), 56, 30, 9
K, BEHIND = 10, 5.0  # BEHIND: transitions that popularity is worth
MODELS = ("popularity", "transitions")
KINDS = ("impression", "click", "purchase")


def clicks_of(events: pa.Table, items: Ints, days: Ints) -> tuple[Ints, Ints, Ints]:
    """(n,) item before (-1: none), item and day of each click, in the order of events."""
    clicked = np.asarray(events["kind"].combine_chunks()) == "click"
    users = events["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()[clicked]
    order = np.argsort(users, kind="stable")
    users, items, days = users[order], items[clicked][order], days[clicked][order]
    before = np.where(np.r_[False, users[1:] == users[:-1]], np.r_[-1, items[:-1]], -1)
    return before, items, days


def ndcg(scores: Floats, item: Ints) -> float:
    """Of (q, n) scores and (q,) what came."""
    ranks = (scores > np.take_along_axis(scores, item[:, None], 1)).sum(axis=1)
    return float(np.where(ranks < K, 1 / np.log2(ranks + 2), 0).mean())


def asked(clicks: tuple[Ints, Ints, Ints], is_sold: Bools, last: int) -> tuple[float, ...]:
    """NDCG@10 of `MODELS`, fitted on clicks before day `last`."""
    before, item, day = clicks
    count, known = len(is_sold), day < last
    popularity = np.bincount(item[known], minlength=count) * is_sold
    pairs = known & (before >= 0)
    follows = csr_matrix((np.ones(pairs.sum()), (before[pairs], item[pairs])), shape=(count, count))
    rows = np.flatnonzero((day >= DAYS - TEST) & (before >= 0))
    found = np.zeros(len(MODELS))
    for part in np.array_split(rows, max(len(rows) // 2000, 1)):
        both = popularity, follows[before[part]].toarray() * is_sold + BEHIND * popularity / popularity.sum()
        found += [len(part) * ndcg(np.broadcast_to(scores, (len(part), count)), item[part]) for scores in both]
    return tuple(found / len(rows))


def measured(size: str, seed: int, strength: float) -> dict[str, float]:
    """Figure → value, of one shop."""
    of = SimulatedParams.model_validate({"size": size, "seed": seed, "trends": strength})
    shop = simulate(IngestParams(as_of=AS_OF, window_days=DAYS, simulated=of))
    tables, _ = shop.whole()
    events, ids = tables["events"], tables["items"]["item_id"].to_pylist()
    place = {name: number for number, name in enumerate(ids)}
    held = events["item_id"].combine_chunks().dictionary_encode()
    items = np.array([place[name] for name in held.dictionary.to_pylist()])[held.indices.to_numpy()]
    days = events["occurred_at"].cast(pa.int64()).to_numpy() // 86_400_000_000 - shop.first
    first = np.full(len(ids), DAYS)
    np.minimum.at(first, items, days)
    goods = shop.world.goods
    is_sold = goods.leaves_on[goods.in_window(shop.first)] > shop.last
    clicks = clicks_of(events, items, days)
    old, fresh = asked(clicks, is_sold, TRAIN), asked(clicks, is_sold, DAYS - TEST)
    found = {f"{name}, old": value for name, value in zip(MODELS, old, strict=True)}
    found |= {f"{name}, fresh": value for name, value in zip(MODELS, fresh, strict=True)}
    found |= {f"{name}, gain": new / then - 1 for name, then, new in zip(MODELS, old, fresh, strict=True)}
    found["new: on sale"] = float((first[is_sold] >= TRAIN).mean())
    kinds, late = np.asarray(events["kind"].combine_chunks()), days >= DAYS - TEST
    return found | {f"new: {kind}s": float((first[items[late & (kinds == kind)]] >= TRAIN).mean()) for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small", choices=("tiny", "small", "large"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--strengths", type=float, nargs="+", default=[0, 0.5, 1, 2])
    chosen = parser.parse_args()
    print("| trends | figure | seeds | mean, Student's 95 % interval |\n|---|---|---|---|")
    for strength in chosen.strengths:
        shops = [measured(chosen.size, seed, strength) for seed in chosen.seeds]
        for name in shops[0]:
            values = np.array([shop[name] for shop in shops])
            half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
            told = ", ".join(f"{value:.3f}" for value in values)
            print(
                f"| {strength:g} | {name} | {told} | {values.mean():.3f} [{values.mean() - half:.3f}, "
                f"{values.mean() + half:.3f}] |",
                flush=True,
            )


if __name__ == "__main__":
    main()
