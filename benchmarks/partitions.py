"""How `features` grows with the log: seconds, processor-seconds and memory at one, five and ten million events.

Run with `.venv/bin/python benchmarks/partitions.py`; it takes some ten minutes on 2 cores. The same simulated shop is
read for 8, 39 and 78 days. The stage runs in a process of its own. On a busy machine processor-seconds are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.dataset as ds
from features import _params

from triad.artifacts import INGESTED, TABLES
from triad.environment import ENVIRONMENT
from triad.stages.champion import champion
from triad.stages.features import features
from triad.stages.ingest import ingest

FIVE_MILLION_GB, GROWTH, FLAT = 1.5, 11.0, 1.3


def main() -> int:
    """Print the measurements; 1 where one misses its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", default=(8, 39, 78), type=int, nargs="+", help="of the shop `large`")
    parser.add_argument("--child", action="store_true", help="measure the tables of this folder")
    parser.add_argument("--folder", type=Path, help="where the tables lie already, or are to be kept")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_child(chosen.days[0])))
        return 0
    measured = []
    with tempfile.TemporaryDirectory() as made:
        for days in chosen.days:
            events = _tables(folder := (chosen.folder or Path(made)).resolve() / f"days-{days}", days)
            one = _run(folder, days)
            measured.append((events, one))
            print(
                f"{events:>10,} events of {days} days: {one['seconds']:.1f} s · {one['processor']:.1f} processor-s"
                f" · peak {one['peak']:.2f} GB · load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    (few, first), (many, last) = measured[0], measured[-1]
    growth, flat = last["processor"] / first["processor"], last["peak"] / first["peak"]
    print(f"{many / few:.1f} × the events: {growth:.1f} × the processor-seconds, {flat:.2f} × the memory (bar {FLAT})")
    at_five = [one["peak"] for events, one in measured if 4e6 < events < 6e6]
    return int(growth > GROWTH / 10 * many / few or flat > FLAT or any(peak >= FIVE_MILLION_GB for peak in at_five))


def _tables(folder: Path, days: int, size: str = "large") -> int:
    """Write the shop's tables, unless they are there; how many events they hold."""
    before, tables = Path.cwd(), folder / TABLES
    if not tables.exists():
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        ingest(_params(size, days))
        TABLES.parent.mkdir()
        TABLES.symlink_to(INGESTED.resolve())  # as `validate` leaves sound tables
        champion(_params(size, days))
        os.chdir(before)
    return int(ds.dataset(tables / "events", format="parquet", partitioning=None).count_rows())


def _run(folder: Path, days: int) -> dict[str, float]:
    arguments = [sys.executable, str(Path(__file__).resolve()), "--child", "--days", str(days)]
    done = subprocess.run(
        arguments, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, env=os.environ | ENVIRONMENT
    )
    measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def _child(days: int) -> dict[str, float]:
    start, before = time.perf_counter(), time.process_time()
    features(_params("large", days))
    # of this program alone: `getrusage` also counts what its parent held before it became this one
    peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return {
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - before,
        "peak": peak * 1024 / 1e9,
    }


if __name__ == "__main__":
    sys.exit(main())
