"""Do the limits of a refit's health hold healthy light nights, and not hold spoilt ones?

    python benchmarks/light_health.py runs/freshness/<settings>/<seed> [--form continue]

The folder is one that `freshness.py` made: a full night and the light nights that went on from it. Prints the figures
nearest to each limit, a night a row. Then the last light night is made again, spoilt in one way at a time: its newest
days as a broken export would tell them, or training that diverged. `validate` is not asked: it would stop some of these
before. Which are found, and by which limit?
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rolling
from rolling import Night

Tables = dict[str, pa.Table]


def columns_changed(
    table: pa.Table, name: str, rows: np.ndarray, values: Callable[[np.ndarray], np.ndarray]
) -> pa.Table:
    """`table` with other values of the column `name` in `rows`."""
    place, column = table.column_names.index(name), table[name].to_numpy(zero_copy_only=False).copy()
    column[rows] = values(column[rows])
    return table.set_column(place, table.schema.field(name), pa.array(column, table.schema.field(name).type))


def newest(table: pa.Table, column: str, since: int) -> np.ndarray:
    """(rows,) whether they happened at `since` µs or later."""
    return table[column].cast(pa.int64()).to_numpy() >= since


def items_mixed_up(tables: Tables, since: int) -> Tables:
    """Events name another item than the one they are of: a catalogue joined by the wrong key."""
    of = newest(tables["events"], "occurred_at", since)
    names = np.unique(tables["events"]["item_id"].to_numpy(zero_copy_only=False))
    other = dict(zip(names, np.random.default_rng(0).permutation(names), strict=True))
    swap = np.vectorize(other.get, otypes=[object])
    return {**tables, "events": columns_changed(tables["events"], "item_id", of, swap)}


def clicks_lost(tables: Tables, since: int) -> Tables:
    """Nothing after the impressions was written."""
    events = tables["events"]
    kept = ~newest(events, "occurred_at", since) | (events["kind"].to_numpy(zero_copy_only=False) == "impression")
    return {**tables, "events": events.filter(pa.array(kept))}


def one_item(tables: Tables, since: int) -> Tables:
    """All events are of one item: a default in place of what was missing."""
    of = newest(tables["events"], "occurred_at", since)
    first = pc.first(tables["events"]["item_id"]).as_py()
    fill = lambda values: np.full(len(values), first, object)  # noqa: E731
    return {**tables, "events": columns_changed(tables["events"], "item_id", of, fill)}


def unchanged(tables: Tables, since: int) -> Tables:
    """As they are."""
    return tables


SPOILT: Mapping[str, tuple[Callable[[Tables, int], Tables], Mapping]] = {
    "nothing (again)": (unchanged, {}),
    "items mixed up": (items_mixed_up, {}),
    "clicks lost": (clicks_lost, {}),
    "one item for all": (one_item, {}),
    "training diverged": (unchanged, {"pretrain": {"learning_rate": 0.5}, "finetune": {"learning_rate": 0.5}}),
}


def shown(health: Mapping, limits: Mapping) -> str:
    """The least correlation, the most drift, loss of calibration and share of new items, over tasks; the doubts."""
    found = health["figures"].values()
    worse = [
        each["calibration_error"] - each["twin_calibration_error"] for each in found if "calibration_error" in each
    ]
    figures = (
        min(each["rank_correlation"] for each in found),
        max(each.get("drift", 0.0) for each in found),
        max(worse, default=0.0),
        max(each.get("new_items", 0.0) for each in found),
    )
    names = ("min_rank_correlation", "max_drift", "max_calibration_loss", "max_new_items")
    cells = [f"{figure:.3f} ({limits[name]:g})" for figure, name in zip(figures, names, strict=True)]
    doubts = "; ".join(f"{line.split(':')[0]}: {line.split(': ')[-1].rsplit(' ', 3)[0]}" for line in health["doubts"])
    return " | ".join([*cells, doubts or "none"])


def again(night: Night, form: str, name: str, folder: Path) -> Mapping:
    """The health of `night`, spoilt as `name` says."""
    from triad.artifacts import TABLES
    from triad.tables import connect, present, write_table
    from triad.training.runtime import settle

    spoil, dials = SPOILT[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    settle(night.params.runtime, night.params.refit.seed)
    with connect(night.folder / TABLES) as session:
        names = present(night.folder / TABLES)
        tables = {table: session.sql(f"SELECT * FROM {table}").to_arrow_table() for table in names}
    for table, rows in spoil(tables, since_of(night)).items():
        write_table(TABLES, table, rows)
    params = night.params.model_copy(
        update={part: getattr(night.params, part).model_copy(update=dict(to)) for part, to in dials.items()}
    )
    rolling.refit(Night(folder, night.base, night.start, params, night.number), form, {})
    return json.loads((folder / "refitted" / form / "health.json").read_text())


def since_of(night: Night) -> int:
    """µs, the first moment that what it goes on from had not learned."""
    first = rolling.load_night(night.start).params.ingest.as_of
    return int(np.datetime64(first.isoformat(), "us").astype(np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--form", default="continue")
    asked = parser.parse_args()
    root = asked.folder.resolve()
    nights = [rolling.load_night(each) for each in sorted(root.iterdir()) if (each / rolling.NIGHT).is_file()]
    limits = nights[0].params.refit.health.model_dump()
    print("| Night | Rank correlation, least | Drift, most | Calibration error, more | New items | Doubts |")
    print("|---|---|---|---|---|---|")
    for night in nights:
        health = json.loads((night.folder / "refitted" / asked.form / "health.json").read_text())
        kind = f"light, {night.number} after the full one" if night.number else "full"
        print(f"| {kind} | {shown(health, limits)} |")
    for name in SPOILT:
        health = again(nights[-1], asked.form, name, root / "spoilt" / name.replace(" ", "_"))
        print(f"| the last, {name} | {shown(health, limits)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
