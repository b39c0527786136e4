"""What a night costs that adds one day of events to a window of 40, beside a night that reads all of them.

A shop writes a CSV file a day. `ingest`, `validate` and `features` run from nothing, and with what the night before
kept; each stage in a process of its own, both nights in turn. Their outputs must be equal, byte for byte. Run with
`.venv/bin/python benchmarks/incremental.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from triad.artifacts import ARTIFACTS, INGESTED, TABLES
from triad.config.params import Params, parse
from triad.digests import digest
from triad.environment import ENVIRONMENT

WINDOW = 40
STAGES = {"ingest": INGESTED, "validate": TABLES, "features": ARTIFACTS / "features"}
"""Those that are measured, and what of their output must be equal."""

SETTING = ("params.yaml", "dvc.yaml", "expectations")
"""Of the checkout, what a night reads there."""


def main() -> int:
    """Print seconds and their ratios; 1 where outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", default=1_000_000, type=int, help="in the window")
    parser.add_argument("--repeats", default=5, type=int)
    parser.add_argument("--folder", type=Path, help="where shop and nights lie, and stay; of none, a temporary one")
    parser.add_argument("--stage", nargs=3, metavar=("STAGE", "SHOP", "KEEP"), help="run one here, and print its cost")
    chosen = parser.parse_args()
    if chosen.stage:
        stage, shop, keep = chosen.stage
        return _measure(stage, Path(shop), keep == "keep")
    with tempfile.TemporaryDirectory() as folder:
        work = (chosen.folder or Path(folder)).resolve()
        last, aside = work / "shop" / f"day{WINDOW:02d}.csv", work / "aside.csv"
        if not (work / "shop").exists():
            _shop(work / "shop", chosen.events // WINDOW)
            last.rename(aside)  # the night before: all days but the last
            _night(work, "before", keep=True)
            aside.rename(last)
        costs: dict[str, list[dict[str, dict[str, float]]]] = {"from nothing": [], "one day more": []}
        digests: dict[str, set[str]] = {stage: set() for stage in STAGES}
        for _ in range(chosen.repeats):
            for name, keep in (("from nothing", False), ("one day more", True)):
                shutil.rmtree(work / "night", ignore_errors=True)
                if keep:
                    shutil.copytree(work / "before", work / "night", symlinks=True)
                cost, found = _night(work, "night", keep=keep)
                for stage, each in found.items():
                    digests[stage].add(each)
                costs[name].append(cost)
    print(f"{chosen.events:,} events in {WINDOW} days, medians of {chosen.repeats}")
    print(f"{'':>9}  {'from nothing':^36}  {'one day more':^36}  share")
    for stage in (*STAGES, "all"):
        said, cpu = [], []
        for each in costs.values():
            found = [one[stage] if stage != "all" else _added(one) for one in each]
            seconds = sorted(round(one["cpu"], 1) for one in found)
            wall, peak = (statistics.median(one[key] for one in found) for key in ("wall", "peak"))
            cpu.append(statistics.median(seconds))
            said.append(f"{cpu[-1]:6.1f} CPU-s {seconds}, {wall:.1f} s, {peak:.2f} GB")
        print(f"{stage:>9}  {said[0]}  {said[1]}  {cpu[1] / cpu[0]:.2f}")
    equal = {stage: len(each) == 1 for stage, each in digests.items()}
    print(" · ".join(f"{stage}: {'equal' if same else 'DIFFERENT'}" for stage, same in equal.items()))
    print(f"{platform.machine()} · {os.cpu_count()} cores · load {os.getloadavg()[0]:.1f}")
    return int(not all(equal.values()))


def _added(one: dict[str, dict[str, float]]) -> dict[str, float]:
    cost = {key: sum(stage[key] for stage in one.values()) for key in ("cpu", "wall")}
    return {**cost, "peak": max(stage["peak"] for stage in one.values())}


def _shop(folder: Path, a_day: int) -> None:
    """A file a day. In a visit a user sees two items, clicks one, and puts it into the basket or buys it."""
    folder.mkdir(parents=True)
    with duckdb.connect() as session:
        for day in range(WINDOW + 1):
            path = folder / f"day{day:02d}.csv"
            what = "['cart', 'purchase'][1 + (({} // 2) % 2)::INT]"
            chance = f"hash(i // 4 * 5 + {day} * 7)"
            session.execute(
                f"COPY (SELECT {day} * {a_day} + i AS id, 'u' || (hash(i // 4 * 7 + {day}) % 20000) AS who, "
                f"'sku' || (hash(i // 4 * 2 + {day} * 3 + CASE WHEN i % 4 < 2 THEN i % 4 ELSE {chance} % 2 END) % 5000)"
                f" AS sku, strftime(TIMESTAMP '2026-01-01' + INTERVAL ({day}) DAY"
                f" + INTERVAL (i * 86000 // {a_day}) SECOND, '%Y-%m-%d %H:%M:%S') AS at, "
                f"CASE i % 4 WHEN 2 THEN 'click' WHEN 3 THEN {what.format(chance)} ELSE 'impression' END AS what, "
                f"'d{day}s' || (i // 4) AS visit, (100 + hash(i) % 5000) / 100.0 AS amount, 1 AS pieces "
                f"FROM range({a_day}) t(i)) TO '{path}' (HEADER)"
            )


def _night(work: Path, name: str, *, keep: bool) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Each stage's cost, and the digest of what it wrote."""
    here, checkout = work / name, Path(__file__).resolve().parents[1]
    here.mkdir(exist_ok=True)
    for each in SETTING:
        if not (here / each).exists():
            (here / each).symlink_to(checkout / each)
    (here / ARTIFACTS / "champion").mkdir(parents=True, exist_ok=True)
    (here / ARTIFACTS / "champion" / "champion.json").write_text('{"version": null}')
    costs = {}
    for stage in STAGES:
        command = [sys.executable, __file__, "--stage", stage, str(work / "shop"), "keep" if keep else "all"]
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=here, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
        )
        costs[stage] = {**json.loads(done.stdout.splitlines()[-1]), "wall": time.perf_counter() - start}
    return costs, {stage: digest(here / output) for stage, output in STAGES.items()}


def _measure(stage: str, shop: Path, keep: bool) -> int:
    """The stage in the present folder; the last file of the shop is the last day of the window."""
    from importlib import import_module

    params = _params(shop, sum(1 for _ in shop.glob("*.csv")) - 1, keep)
    getattr(import_module(f"triad.stages.{stage}"), stage)(params)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # of this program alone: `getrusage` also counts what its parent held before it became this one
    peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "peak": peak * 1024 / 1e9}))
    return 0


def _params(shop: Path, days: int, keep: bool) -> Params:
    columns = {
        "event_id": "id",
        "user_id": "who",
        "item_id": "sku",
        "occurred_at": "at",
        "kind": "what",
        "session_id": "visit",
        "price_cents": {"column": "amount", "unit": "major"},
        "quantity": "pieces",
    }
    files = {"events": {"path": f"{shop}/*.csv", "timezone": "UTC", "columns": columns}, "prices": {"from": "events"}}
    end = "2026-02-11" if days == WINDOW else "2026-02-10"
    section = {"source": "files", "as_of": end, "window_days": WINDOW, "files": files, "keep_days": keep}
    tasks = {
        "click": {"kind": "binary", "label": "clicked"},
        "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
    }
    splits = {"split_days": {"validation": 4, "fusion": 4, "test": 4}, "user_attributes": []}
    return parse({"ingest": section, "tasks": tasks, "features": splits}, "benchmark")


if __name__ == "__main__":
    sys.exit(main())
