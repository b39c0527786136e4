"""The stage `features` on each engine: seconds, processor-seconds and memory of one shop, and whether arrays are equal.

Run with `.venv/bin/python benchmarks/engines.py --days 8`; it takes some two minutes on 2 quiet cores. Each engine runs
in a process of its own; Spark's Java and its workers are counted with it. Their memory is what they hold together at
the most, looked at every fifth of a second.
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
from partitions import _tables

from triad.artifacts import ARTIFACTS
from triad.config.runtime import RuntimeParams, SparkParams
from triad.environment import ENVIRONMENT
from triad.stages.features import features


def main() -> int:
    """Print the measurements; 1 where the arrays differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="large", choices=("tiny", "small", "large"))
    parser.add_argument("--days", default=8, type=int)
    parser.add_argument("--child", choices=("duckdb", "spark"), help="measure this engine in this folder")
    parser.add_argument("--master", default="local[2]", help="of Spark")
    parser.add_argument("--folder", type=Path, help="where the tables lie already, or are to be kept")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_child(chosen.child, chosen.master, chosen.size, chosen.days)))
        return 0
    digests = []
    with tempfile.TemporaryDirectory() as made:
        events = _tables(
            folder := (chosen.folder or Path(made)).resolve() / f"{chosen.size}-{chosen.days}", chosen.days, chosen.size
        )
        print(f"{events:,} events of {chosen.days} days", flush=True)
        for engine in ("duckdb", "spark"):
            arguments = [
                "--child",
                engine,
                "--master",
                chosen.master,
                "--size",
                chosen.size,
                "--days",
                str(chosen.days),
            ]
            done = subprocess.run(
                [sys.executable, str(Path(__file__).resolve()), *arguments],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                cwd=folder,
                env=os.environ | ENVIRONMENT,
            )
            one = json.loads(done.stdout.strip().splitlines()[-1])
            digests.append(one["digests"])
            print(
                f"{engine}: {one['seconds']:.1f} s · {one['processor']:.1f} processor-s · peak {one['peak']:.2f} GB"
                f" · load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    differ = sorted(
        name for name in digests[0].keys() | digests[1].keys() if digests[0].get(name) != digests[1].get(name)
    )
    print(f"{len(digests[0])} files, {len(differ)} differ {differ}")
    return int(bool(differ))


def _child(engine: str, master: str, size: str, days: int) -> dict[str, object]:
    params = _params(size, days)
    runtime = RuntimeParams.model_validate({"engine": engine, "spark": SparkParams(master=master).model_dump()})
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
    features(params.model_copy(update={"runtime": runtime}))
    seconds = time.perf_counter() - start
    watching.set()
    watcher.join()
    folder = ARTIFACTS / "features"
    digests = {
        str(file.relative_to(folder)): hashlib.md5(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    return {"seconds": seconds, "processor": sum(used.values()), "peak": max(peaks) / 1e9, "digests": digests}


if __name__ == "__main__":
    sys.exit(main())
