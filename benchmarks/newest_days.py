"""Does the check on the newest days hold healthy light nights, and does it find days whose events name wrong items?

    TRIAD_DATASETS=FOLDER python benchmarks/newest_days.py [--seeds 1 2 3]

Every day of a log from the thirtieth on is a light night's, with the 1, 2 or 7 newest days. `evaluation/newest_days.py`
is asked about each, as it is, and with the items of its newest days mixed up. Simulated shops of two sizes, and the log
of UCI Online Retail without the days on which nothing was bought.
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Bools, Ints
from triad.config.ingest import IngestParams, SimulatedParams
from triad.config.refit import HealthLimits
from triad.evaluation.newest_days import agreement, doubts
from triad.features.dataset import Streams
from triad.features.sql import DAY
from triad.sources.simulated import simulate

FIRST = 30
LOG = "online_retail/online_retail.csv.gz"


def simulated(size: str, seed: int) -> tuple[Ints, Ints]:
    """(n,) item and day of each interaction of a shop of 56 days."""
    of = SimulatedParams.model_validate({"size": size, "seed": seed})
    shop = simulate(IngestParams(as_of=date(2026, 3, 1), simulated=of))
    events = shop.whole()[0]["events"]
    taken: Bools = np.asarray(events["kind"].combine_chunks()) != "impression"
    item = events["item_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    day = events["occurred_at"].cast(pa.int64()).to_numpy() // DAY - shop.first
    return item[taken], day[taken]


def online_retail() -> tuple[Ints, Ints]:
    path = str(Path(os.environ["TRIAD_DATASETS"]) / LOG)
    query = """
        SELECT dense_rank() OVER (ORDER BY StockCode) - 1 AS item,
            dense_rank() OVER (ORDER BY CAST(InvoiceDate AS DATE)) - 1 AS day
        FROM read_csv(?, all_varchar = true) WHERE InvoiceNo NOT LIKE 'C%' AND CustomerID IS NOT NULL
    """
    rows = duckdb.execute(query, [path]).fetchnumpy()
    return rows["item"], rows["day"]


def measured(item: Ints, day: Ints, size: int) -> tuple[list[float], list[float], int, int]:
    """Shares of what is usual, of days as they are and mixed up; how many of each are doubted."""
    least, mix = HealthLimits().min_days_agreement, np.random.default_rng(0).permutation(int(item.max()) + 1)
    shares: tuple[list[float], list[float]] = [], []
    doubted = [0, 0]
    for first in range(FIRST, int(day.max()) + 2 - size):
        is_new = (day >= first) & (day < first + size)
        for place, named in enumerate((item, np.where(is_new, mix[item], item))):
            streams = Streams(np.array([0, len(item)]), named, np.ones(len(item), int), day * DAY, day * 0)
            found = agreement(streams, first * DAY, (first + size) * DAY)
            if found:
                shares[place].append(found["agreement"] / found["usual"])
                doubted[place] += bool(doubts(found, least))
    return *shares, *doubted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    chosen = parser.parse_args()
    logs = {
        f"{size}, seed {seed}": lambda size=size, seed=seed: simulated(size, seed)
        for size in ("tiny", "small")
        for seed in chosen.seeds
    }
    print("| Log | Newest days | Nights | As they are, least | Doubted | Mixed up, most | Doubted |")
    print("|---|---|---|---|---|---|---|")
    for name, read in {**logs, "Online Retail": online_retail}.items():
        item, day = read()
        for size in (1, 2, 7):
            healthy, mixed, stopped, caught = measured(item, day, size)
            print(
                f"| {name} | {size} | {len(healthy)} | {min(healthy):.2f} | {stopped} | {max(mixed):.2f} | {caught} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
