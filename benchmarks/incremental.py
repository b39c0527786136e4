"""What a night costs that adds one day of events to a window of 40, beside a night that reads all of them.

A shop writes a CSV file a day. `ingest` runs from nothing, and with the days kept that the night before had; both in
processes of their own, in turn. Their tables must be equal. Run with `.venv/bin/python benchmarks/incremental.py`.
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

from triad.artifacts import INGESTED
from triad.config.params import Params, parse
from triad.digests import digest
from triad.stages.ingest import ingest

WINDOW = 40


def main() -> int:
    """Print seconds and their ratio; 1 where the tables differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", default=1_000_000, type=int, help="in the window")
    parser.add_argument("--repeats", default=5, type=int)
    parser.add_argument("--night", nargs=2, metavar=("SHOP", "KEEP"), help="run one ingest here, and print its cost")
    chosen = parser.parse_args()
    if chosen.night:
        return _night(Path(chosen.night[0]), chosen.night[1] == "keep")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _shop(work / "shop", chosen.events // WINDOW)
        # the night before: all days but the last
        last, aside = work / "shop" / f"day{WINDOW:02d}.csv", work / "aside.csv"
        last.rename(aside)
        _run(work, "before", keep=True)
        aside.rename(last)
        costs: dict[str, list[dict[str, float]]] = {"from nothing": [], "one day more": []}
        digests = set()
        for _ in range(chosen.repeats):
            for name, keep in (("from nothing", False), ("one day more", True)):
                if keep:
                    shutil.copytree(work / "before" / ".triad", work / "night" / ".triad")
                cost = _run(work, "night", keep=keep)
                digests.add(cost.pop("digest"))
                costs[name].append(cost)
                shutil.rmtree(work / "night")
    medians = {name: {k: statistics.median(c[k] for c in each) for k in each[0]} for name, each in costs.items()}
    print(f"{chosen.events:,} events in {WINDOW} days, medians of {chosen.repeats}")
    for name, cost in medians.items():
        each = sorted(round(c["cpu"], 2) for c in costs[name])
        print(f"{name:>13}: {cost['wall']:.1f} s, {cost['cpu']:.1f} CPU-s {each}, peak {cost['peak']:.2f} GB")
    share = {k: medians["one day more"][k] / medians["from nothing"][k] for k in ("wall", "cpu", "ingest_cpu")}
    print(f"share: wall {share['wall']:.2f} · CPU {share['cpu']:.2f} · CPU without start-up {share['ingest_cpu']:.2f}")
    print(f"tables {'equal' if len(digests) == 1 else 'DIFFER'}")
    print(f"{platform.machine()} · {os.cpu_count()} cores · load {os.getloadavg()[0]:.1f}")
    return int(len(digests) != 1)


def _shop(folder: Path, a_day: int) -> None:
    """A file a day: every fourth event a purchase, prices with cents, a visit of five events."""
    folder.mkdir()
    (folder.parent / "night").mkdir()
    (folder.parent / "before").mkdir()
    with duckdb.connect() as session:
        for day in range(WINDOW + 1):
            path = folder / f"day{day:02d}.csv"
            session.execute(
                f"COPY (SELECT {day} * {a_day} + i AS id, 'u' || (hash(i * 7 + {day}) % 20000) AS who, "
                f"'sku' || (hash(i * 13 + {day}) % 5000) AS sku, strftime(TIMESTAMP '2026-01-01' + INTERVAL ({day}) DAY"
                f" + INTERVAL (i * 86000 // {a_day}) SECOND, '%Y-%m-%d %H:%M:%S') AS at, "
                "['impression', 'click', 'cart', 'purchase'][1 + i % 4] AS what, 's' || (i // 5) AS visit, "
                "(100 + hash(i) % 5000) / 100.0 AS amount, 1 AS pieces "
                f"FROM range({a_day}) t(i)) TO '{path}' (HEADER)"
            )


def _run(work: Path, name: str, *, keep: bool) -> dict[str, float]:
    (work / name).mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--night", str(work / "shop"), "keep" if keep else "all"]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=work / name, check=True, capture_output=True, text=True)
    return {**json.loads(done.stdout), "wall": time.perf_counter() - start}


def _night(shop: Path, keep: bool) -> int:
    """`ingest` in the present folder; the last file of the shop is the last day of the window."""
    before = time.process_time()
    days = sum(1 for _ in shop.glob("*.csv")) - 1
    ingest(_params(shop, days, keep))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"cpu": usage.ru_utime + usage.ru_stime, "ingest_cpu": time.process_time() - before}
    print(json.dumps({**cost, "peak": usage.ru_maxrss / 2**20, "digest": digest(INGESTED)}))
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
    splits = {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 12}
    tasks = {"conversion": {"kind": "binary", "label": "purchased"}}
    return parse({"ingest": section, "tasks": tasks, "features": splits}, "benchmark")


if __name__ == "__main__":
    sys.exit(main())
