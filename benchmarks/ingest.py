"""How fast `ingest` makes a simulated shop: events a second, writing included, and the peak of memory.

Run with `.venv/bin/python benchmarks/ingest.py` (some 1.5 M events), or with `--days 56` for all of `large`.
The bar is 1,000,000 events in 60 s. Everything is written to a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

from triad.artifacts import INGESTED
from triad.config.params import parse
from triad.stages.ingest import ingest
from triad.tables import connect

BAR = 1_000_000 / 60  # events a second


def main() -> int:
    """Print the measurement; 1 where it misses the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="large", choices=("tiny", "small", "large"))
    parser.add_argument("--days", default=12, type=int)
    chosen = parser.parse_args()
    window = {"as_of": "2026-03-01", "window_days": chosen.days, "simulated": {"size": chosen.size}}
    features = {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 12}
    tasks = {"conversion": {"kind": "binary", "label": "purchased"}}
    params = parse({"ingest": window, "tasks": tasks, "features": features}, "benchmark")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        start = time.perf_counter()
        ingest(params)
        seconds = time.perf_counter() - start
        with connect(INGESTED) as session:
            events = session.execute("SELECT count(*) FROM events").fetchall()[0][0]
        size = sum(path.stat().st_size for path in Path("artifacts").rglob("*") if path.is_file())
        os.chdir("/")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(
        f"{events:,} events in {seconds:.1f} s · {events / seconds:,.0f} events/s (bar {BAR:,.0f}) · "
        f"1 M events in {1e6 * seconds / events:.1f} s · peak {peak:.2f} GB · {size / 1e6:,.0f} MB on disk"
    )
    machine = f"{platform.processor() or platform.machine()} · {os.cpu_count()} cores · load {os.getloadavg()[0]:.1f}"
    print(f"{machine} · Python {platform.python_version()}")
    return int(events / seconds < BAR)


if __name__ == "__main__":
    sys.exit(main())
