"""Stages on each engine: seconds, processor-seconds and memory of one shop, and whether what they write is equal.

`.venv/bin/python benchmarks/engines.py --days 8` measures `features` of the simulated shop; it takes some two minutes
on 2 quiet cores. With `--events 200000` it measures `ingest` and `validate` of a shop that wrote a CSV file a day. Each
engine runs in a process of its own; Spark's Java and its workers are counted with it. Their memory is what they hold
together at the most, looked at every fifth of a second.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from features import _params
from incremental import WINDOW, _shop
from incremental import _params as _of_files
from partitions import _tables

from triad.artifacts import ARTIFACTS, INGESTED, TABLES
from triad.config.runtime import RuntimeParams, SparkParams
from triad.environment import ENVIRONMENT
from triad.stages.features import features
from triad.stages.ingest import ingest
from triad.stages.validate import REPORT, validate

RUN = {"features": features, "ingest": ingest, "validate": validate}
WRITTEN = {
    "features": (ARTIFACTS / "features",),
    "ingest": (INGESTED,),
    "validate": (REPORT / "result.json", TABLES),  # pages name the engine's types
}


def main() -> int:
    """Print the measurements; 1 where what was written differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="large", choices=("tiny", "small", "large"))
    parser.add_argument("--days", default=8, type=int)
    parser.add_argument("--events", type=int, help="of a shop of files, whose ingest and validate are measured")
    parser.add_argument("--child", nargs=2, metavar=("ENGINE", "STAGE"), help="measure this in this folder")
    parser.add_argument("--master", default="local[2]", help="of Spark")
    parser.add_argument("--folder", type=Path, help="where the tables lie already, or are to be kept")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_child(*chosen.child, chosen)))
        return 0
    with tempfile.TemporaryDirectory() as made:
        folder = (chosen.folder or Path(made)).resolve() / f"{chosen.size}-{chosen.days}"
        if chosen.events:
            _shop(folder / "shop", chosen.events // (WINDOW + 1))
            (folder / "expectations").symlink_to(Path(__file__).resolve().parents[1] / "expectations")
            print(f"{chosen.events:,} events in {WINDOW + 1} files", flush=True)
            return max([_measured(stage, folder) for stage in ("ingest", "validate")])
        events = _tables(folder, chosen.days, chosen.size)
        print(f"{events:,} events of {chosen.days} days", flush=True)
        return _measured("features", folder)


def _measured(stage: str, folder: Path) -> int:
    digests = []
    for engine in ("duckdb", "spark"):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--child", engine, stage],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | ENVIRONMENT,
        )
        one = json.loads(done.stdout.strip().splitlines()[-1])
        digests.append(one["digests"])
        print(
            f"{stage} on {engine}: {one['seconds']:.1f} s · {one['processor']:.1f} processor-s"
            f" · peak {one['peak']:.2f} GB · load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    names = sorted(digests[0].keys() | digests[1].keys())
    differ = [name for name in names if digests[0].get(name) != digests[1].get(name)]
    print(f"{len(digests[0])} files, {len(differ)} differ {differ}", flush=True)
    return int(bool(differ))


def _child(engine: str, stage: str, chosen: argparse.Namespace) -> dict[str, object]:
    params = _of_files(Path("shop"), WINDOW, keep=False) if chosen.events else _params(chosen.size, chosen.days)
    runtime = RuntimeParams.model_validate({"engine": engine, "spark": SparkParams(master=chosen.master).model_dump()})
    used: dict[int, float] = {}
    peaks = [0.0]
    watching = threading.Event()

    def watch() -> None:
        own = psutil.Process()
        while not watching.wait(0.2):
            held = 0.0
            for each in (own, *own.children(recursive=True)):
                try:
                    times = each.cpu_times()
                    used[each.pid] = max(used.get(each.pid, 0.0), times.user + times.system)
                    held += each.memory_full_info().uss
                except psutil.Error:
                    continue
            peaks.append(held)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    RUN[stage](params.model_copy(update={"runtime": runtime}))
    seconds = time.perf_counter() - start
    watching.set()
    watcher.join()
    digests = {
        str(file): hashlib.md5(file.read_bytes()).hexdigest()
        for folder in WRITTEN[stage]
        for file in sorted([folder] if folder.is_file() else folder.rglob("*"))
        if file.is_file()
    }
    return {"seconds": seconds, "processor": sum(used.values()), "peak": max(peaks) / 1e9, "digests": digests}


if __name__ == "__main__":
    sys.exit(main())
