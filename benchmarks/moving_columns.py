"""Which columns of an exposure change because a later day comes, and which because the window's first day drops out.

Two shops, three nights each: the days `[0, 40)`, a day more `[0, 41)`, and the window that moved on `[1, 41)`. The
exposures that two nights have in common are compared column by column, bit by bit. Then what is left of `features` if
nothing of its exposures had to be made: it runs twice on one store, the second time from what the first has left there.
Run with `.venv/bin/python benchmarks/moving_columns.py`; it takes a minute or two.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from incremental import WINDOW, _params, _shop

from triad.artifacts import INGESTED
from triad.config.params import Params, parse
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.stages.ingest import ingest
from triad.tables import connect, present

NIGHTS = {"before": (0, WINDOW), "a day more": (0, WINDOW + 1), "moved on": (1, WINDOW + 1)}


def main() -> int:
    """Print how many columns and values differ, which, and the processor time of both runs on one store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", default=100_000, type=int, help="of the made-up shop's window")
    parser.add_argument("--timed", default=600_000, type=int, help="of the one whose `features` is timed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, params in (("made up", _files(Path(folder), chosen.events)), ("simulated, tiny", _simulated())):
            print(f"\n{name}")
            tables = _tables(Path(folder) / name, params)
            made = {night: _fit(params, _window(tables, params, *days), days) for night, days in NIGHTS.items()}
            for night in list(NIGHTS)[1:]:
                _compare(night, made["before"], made[night])
        params = _files(Path(folder) / "timed", chosen.timed)
        _time(params, _tables(Path(folder) / "timed", params), Path(folder) / "store")
    print(f"{os.cpu_count()} cores · load {os.getloadavg()[0]:.1f}")
    return 0


def _files(folder: Path, events: int) -> Params:
    _shop(folder / "shop", events // WINDOW)
    params = _params(folder / "shop", WINDOW, keep=False)
    section = params.ingest.model_copy(update={"window_days": WINDOW + 1})
    return params.model_copy(update={"ingest": section})


def _simulated() -> Params:
    ingested = {"as_of": "2026-02-11", "window_days": WINDOW + 1, "simulated": {"size": "tiny", "seed": 1}}
    tasks = _params(Path(), WINDOW, keep=False).tasks
    splits = {"split_days": {"validation": 4, "fusion": 4, "test": 4}}
    return parse({"ingest": ingested, "tasks": {k: t.model_dump() for k, t in tasks.items()}, "features": splits}, "")


def _tables(folder: Path, params: Params) -> dict[str, pa.Table]:
    """All 41 days."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    ingest(params)
    with connect(INGESTED) as session:
        return {name: session.sql(f"FROM {name}").to_arrow_table() for name in present(INGESTED)}


def _window(tables: Mapping[str, pa.Table], params: Params, first: int, last: int) -> dict[str, pa.Table]:
    """The tables as of the night: events of its days alone, and no price after them."""
    start, end = _ends(params, first, last)
    with connect(tables) as session:
        own = dict(tables)
        within = f"occurred_at >= TIMESTAMPTZ '{start} 00:00:00+00' AND occurred_at < TIMESTAMPTZ '{end} 00:00:00+00'"
        own["events"] = session.sql(f"FROM events WHERE {within}").to_arrow_table()
        own["prices"] = session.sql(f"FROM prices WHERE day >= '{start}' AND day < '{end}'").to_arrow_table()
        return own


def _ends(params: Params, first: int, last: int) -> tuple[date, date]:
    begins = params.ingest.as_of - timedelta(days=WINDOW + 1)
    return begins + timedelta(days=first), begins + timedelta(days=last)


def _fit(params: Params, tables: Mapping[str, pa.Table], days: tuple[int, int]) -> tuple[Dataset, dict[str, Any]]:
    with connect(tables, threads=2) as session:
        data, state = fit(session, params.features, params.tasks, _ends(params, *days))
    return data, dict(state.learned["exposures"]["strengths"])


def _compare(night: str, before: tuple[Dataset, Any], after: tuple[Dataset, Any]) -> None:
    (one, trust), (other, later) = before, after
    ids = [np.asarray(data.exposures.event_id.tolist()) for data in (one, other)]
    _, mine, theirs = np.intersect1d(*ids, return_indices=True)
    a, b = one.exposures.context[mine], other.exposures.context[theirs]
    differ = (a.view(np.int32) != b.view(np.int32)) & ~(np.isnan(a) & np.isnan(b))
    moved = [f"{name} {share:.0%}" for name, share in zip(one.meta.context, differ.mean(0), strict=True) if share]
    splits = one.exposures.split[mine] != other.exposures.split[theirs]
    print(f"{night}: {len(mine):,} exposures in common, {(~differ.any(1)).sum():,} of them the same")
    print(f"  {len(moved)} of {len(one.meta.context)} columns and {differ.mean():.1%} of the values differ")
    print(f"  {sum(trust[key] != later.get(key) for key in trust)} of {len(trust)} strengths differ")
    print(f"  another split: {splits.mean():.1%}\n  {' · '.join(moved)}")


def _time(params: Params, tables: Mapping[str, pa.Table], store: Path) -> None:
    store.mkdir()
    for what in ("made", "taken from the store"):
        with connect(tables, threads=2, also=[store]) as session:
            start = time.process_time()
            data, _ = fit(session, params.features, params.tasks, _ends(params, 0, WINDOW + 1), store=store)
            print(f"{len(data.exposures.user):,} exposures {what}: {time.process_time() - start:.2f} processor-s")


if __name__ == "__main__":
    sys.exit(main())
