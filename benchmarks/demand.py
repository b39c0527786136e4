"""Demand and prices of a real shop's coming days (Online Retail), against "no change" and the same season.

    TRIAD_DATASETS=… python benchmarks/demand.py [--test]

Units of a StockCode over the coming week, and its price four weeks on. A row is a product at the beginning of a week,
if it was sold in the four weeks before; it knows the days before alone. The last 56 days are test, 42 before them
calibrate intervals, 42 before those choose. `--test` prints test figures, of five seeds; 95 % intervals are over
products.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.config.tasks import TaskParams
from triad.datasets.base import folder
from triad.examples.product_days import Rows
from triad.features.dataset import SPLITS
from triad.features.product_days import Grid, features
from triad.features.splits import split_of
from triad.features.sql import DAY
from triad.members.outlook_trees import TREES, Grown
from triad.statistics import conformal
from triad.tasks import LABELS

TASKS = {
    "units of the coming week": TaskParams(kind="regression", label="demand_move", horizon_days=7),
    "price four weeks on": TaskParams(kind="regression", label="price_outlook", horizon_days=28),
}
TEST, FUSION, VALIDATION = 56, 42, 42
SEEDS, RESAMPLES, LEVEL = range(1, 6), 2_000, 0.9


def grid() -> Grid:
    """Units and the middle price of each product and day. What was taken back in whole was not sold."""
    with duckdb.connect() as session:
        session.execute(
            """CREATE TABLE lines AS SELECT upper(StockCode) AS item, Quantity AS units, UnitPrice AS price,
                InvoiceDate::TIMESTAMP::DATE - DATE '1970-01-01' AS day, CustomerID AS customer, InvoiceNo AS invoice
            FROM read_csv(?, types = {'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR'})
            WHERE regexp_matches(StockCode, '^([0-9]{5}|DCGS)') AND UnitPrice > 0""",
            [str(folder() / "online_retail" / "online_retail.csv.gz")],
        )
        sold = session.execute(
            """SELECT item, day, sum(units) AS units, ln(100 * median(price)) AS price FROM lines sold
            WHERE units > 0 AND NOT EXISTS (FROM lines back WHERE starts_with(back.invoice, 'C') AND
                back.item = sold.item AND back.customer = sold.customer AND back.units = -sold.units
                AND back.day >= sold.day)
            GROUP BY item, day ORDER BY item, day"""
        ).fetchnumpy()
    item = np.unique(sold["item"].astype(str), return_inverse=True)[1]
    first = int(sold["day"].min())
    shape = int(item.max()) + 1, int(sold["day"].max()) - first + 1
    units, price = np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32)
    units[item, sold["day"] - first], price[item, sold["day"] - first] = sold["units"], sold["price"]
    known = np.maximum.accumulate(np.where(np.isfinite(price), np.arange(shape[1]), -1), axis=1)  # stays until the next
    price = np.where(known >= 0, np.take_along_axis(price, np.maximum(known, 0), axis=1), np.nan)
    nothing = np.zeros(shape, np.float32)
    return Grid(first, units, nothing, nothing, price, np.full(shape, np.nan, np.float32), np.zeros(shape[0], int))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true")
    shown = "test" if parser.parse_args().test else "validation"
    log = grid()
    item, at = log.rows(7)
    last = log.first + log.days
    cuts = [log.first, last - TEST - FUSION - VALIDATION, last - TEST - FUSION, last - TEST, last]
    windows = {name: (cuts[place] * DAY, cuts[place + 1] * DAY) for place, name in enumerate(SPLITS)}
    rows = Rows(log, item, at, split_of((log.first + at) * DAY, windows), windows)
    known = features(log, item, at)
    print(f"{log.units.shape[0]:,} products, {log.days} days, {len(item):,} rows")
    for name, task in TASKS.items():
        label: Any = LABELS[task.label]
        now, season, usual = label.plain(task, rows)
        move = np.asarray(label.make("task", {"task": task}, rows, ()), np.float64)
        table = np.column_stack([known, now, season, usual])
        parts = {split: np.flatnonzero((rows.split == place) & np.isfinite(move)) for place, split in enumerate(SPLITS)}
        of = SimpleNamespace(now=now, season=season, usual=usual, move=move, table=table, item=item, label=label)
        report(name, of, parts, shown)


def report(name: str, of: Any, parts: dict[str, Ints], shown: str) -> None:
    """Figures of the window `shown`, all chosen on validation."""
    train, later, asked = (parts[split] for split in ("train", "validation", shown))

    def grown(seed: int, *, tells_level: bool) -> Grown:
        return Grown.fit(of.table[train], of.now[train], of.move[train], tells_level=tells_level, seed=seed)

    tried = {level: grown(1, tells_level=level) for level in (False, True)}
    missed = {
        (level, trees): float(np.abs(one.score(of.table[later], of.now[later], trees) - of.move[later]).mean())
        for level, one in tried.items()
        for trees in TREES
    }
    level, trees = min(missed, key=missed.__getitem__)
    print(f"\n{name}: {', '.join(f'{split} {len(rows):,}' for split, rows in parts.items())} rows; ", end="")
    print(f"{trees} trees of the {'level' if level else 'move'} chosen on validation")
    fits = [grown(seed, tells_level=level) for seed in (SEEDS if shown == "test" else (1,))]
    answers = {"no change": [np.zeros(len(asked))], "same season": [of.season[asked]], "smoothed": [of.usual[asked]]}
    answers["trees"] = [one.score(of.table[asked], of.now[asked], trees) for one in fits]
    truth, now = of.move[asked], of.now[asked]
    for unit, error in {
        "log": lambda told: np.abs(told - truth),
        "units or cents": lambda told: np.abs(of.label.level(now + told) - of.label.level(now + truth)),
    }.items():
        errors = {each: np.mean([error(told) for told in several], axis=0) for each, several in answers.items()}
        seeds = [float(error(told).mean()) for told in answers["trees"]]
        for each, value in errors.items():
            low, high = spread(value - errors["trees"], of.item[asked])
            worse = "" if each == "trees" else f", above the trees' by {(value - errors['trees']).mean():.4f}"
            print(f"  {unit}: {each} MAE {value.mean():.4f}{worse and worse + f' [{low:.4f}, {high:.4f}]'}")
        print(f"  {unit}: trees by seed {', '.join(f'{each:.4f}' for each in seeds)}")
    held = []
    for one in fits:
        rows = parts["fusion"]
        interval = conformal.fit(one.score(of.table[rows], of.now[rows], trees), of.move[rows], LEVEL)
        bounds = conformal.bounds(interval, one.score(of.table[asked], of.now[asked], trees))
        held.append(float(((bounds[0] <= truth) & (truth <= bounds[1])).mean()))
    print(f"  the {LEVEL:.0%} interval holds {', '.join(f'{each:.1%}' for each in held)}")


def spread(difference: Floats, item: Ints) -> tuple[float, float]:
    """95 % interval of the mean, products drawn."""
    code = np.unique(item, return_inverse=True)[1]
    sums, counts = np.bincount(code, difference), np.bincount(code)
    drawn = np.random.default_rng(1).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
