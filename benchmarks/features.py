"""How fast `features` is beside pandas: seconds, memory and their ratio on five million simulated events.

Run with `.venv/bin/python benchmarks/features.py`; it takes some ten minutes on 2 cores. The stage reads Parquet, makes
all its columns, labels, streams and vocabularies, and writes arrays. Pandas (`features_in_pandas.py`) makes about half
of the columns and writes nothing. Written group by group it is too slow for the whole log: it is timed on two shares of
the users, and a straight line through both says what all of them would take. Vectorised it runs on the whole log, and
every column is checked against the stage's. Each is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import features_in_pandas
import numpy as np
import pyarrow.dataset as ds

from triad.artifacts import ARTIFACTS, INGESTED, TABLES
from triad.config.params import Params, parse
from triad.environment import ENVIRONMENT
from triad.examples import dataset
from triad.stages.champion import champion
from triad.stages.features import features
from triad.stages.ingest import ingest

BAR, MEMORY_BAR = 10.0, 4.0
TASKS = {
    "click": {"kind": "binary", "label": "clicked"},
    "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
}


def main() -> int:
    """Print the measurements; 1 where one misses its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="large", choices=("tiny", "small", "large"))
    parser.add_argument("--days", default=39, type=int)
    parser.add_argument("--shares", default=(1 / 128, 1 / 64), type=float, nargs=2, help="of users, group by group")
    parser.add_argument("--child", choices=("stage", "vectorised", "grouped"), help="what a child process measures")
    parser.add_argument("--share", default=1.0, type=float)
    chosen = parser.parse_args()
    params = _params(chosen.size, chosen.days)
    if chosen.child:
        print(json.dumps(_child(chosen.child, params, chosen.share)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        ingest(params)
        TABLES.parent.mkdir()
        TABLES.symlink_to(INGESTED.resolve())  # as `validate` leaves sound tables
        champion(params)
        events = ds.dataset(TABLES / "events", format="parquet", partitioning=None).count_rows()
        print(f"{events:,} events of {chosen.days} days, {chosen.size}", flush=True)
        stage = _run("stage", chosen)
        print(_line("triad features", stage), flush=True)
        vectorised = _run("vectorised", chosen)
        print(_line("pandas, vectorised", vectorised), flush=True)
        small, big = (_run("grouped", chosen, share) for share in chosen.shares)
        os.chdir("/")
    for share, one in zip(chosen.shares, (small, big), strict=True):
        print(_line(f"pandas, group by group, {share:.2%} of users", one))
    slope = (big["seconds"] - small["seconds"]) / (chosen.shares[1] - chosen.shares[0])
    whole = small["seconds"] + slope * (1 - chosen.shares[0])
    ratio = whole / stage["seconds"]
    print(f"pandas, group by group, all users on that line: {whole:,.0f} s")
    print(f"the stage is {ratio:.1f} × as fast as pandas group by group (bar {BAR:.0f})", end=" · ")
    print(f"{vectorised['seconds'] / stage['seconds']:.1f} × as fast as pandas vectorised", end=" · ")
    print(f"peak {stage['peak']:.2f} GB (bar {MEMORY_BAR:.0f})")
    machine = f"{platform.processor() or platform.machine()} · {os.cpu_count()} cores · load {os.getloadavg()[0]:.1f}"
    print(f"{machine} · Python {platform.python_version()}")
    return int(ratio < BAR or stage["peak"] > MEMORY_BAR)


def _params(size: str, days: int) -> Params:
    window = {"as_of": "2026-03-01", "window_days": days, "simulated": {"size": size}}
    split_days = dict.fromkeys(("validation", "fusion", "test"), 4 if days > 12 else 2)
    return parse({"ingest": window, "tasks": TASKS, "features": {"split_days": split_days}}, "benchmark")


def _run(what: str, chosen: argparse.Namespace, share: float = 1.0) -> dict[str, Any]:
    """The last line that a process of its own prints, in the environment that `triad` gives its stages."""
    arguments = ["--child", what, "--size", chosen.size, "--days", str(chosen.days), "--share", str(share)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _child(what: str, params: Params, share: float) -> dict[str, Any]:
    start = time.perf_counter()
    if what == "stage":
        features(params)
        columns = len(dataset.load(ARTIFACTS / "features").meta.context)
        return {"seconds": time.perf_counter() - start, "peak": _peak(), "columns": columns}
    tables = features_in_pandas.read(TABLES)
    if share < 1:
        users = np.sort(tables["events"]["user_id"].unique())[:: round(1 / share)]
        tables["events"] = tables["events"][tables["events"]["user_id"].isin(users)]
        start = time.perf_counter()  # reading and cutting all of the log is no part of a share's cost
    found = features_in_pandas.build(tables, by_group=what == "grouped")
    seconds, peak = time.perf_counter() - start, _peak()
    if what == "grouped":
        expected = features_in_pandas.build(tables, by_group=False).loc[found.index]
        names = [name for name in found if found[name].dtype.kind == "f"]
        _same({name: (found[name].to_numpy(), expected[name].to_numpy()) for name in names})
        return {"seconds": seconds, "peak": peak, "columns": len(names)}
    data = dataset.load(ARTIFACTS / "features")
    found = found.loc[np.asarray(data.exposures.event_id)]
    shared = [name for name in data.meta.context if name in found]
    pairs = {name: (data.exposures.context[:, data.meta.context.index(name)], found[name]) for name in shared}
    sure = np.asarray(data.exposures.split) >= 0
    pairs |= {task: (data.labels(task)[sure], found[task].to_numpy()[sure]) for task in data.meta.tasks["exposures"]}
    _same(pairs | {"history": (data.exposures.history, found["history"])})
    return {"seconds": seconds, "peak": peak, "columns": len(shared)}


def _same(pairs: dict[str, tuple[Any, Any]]) -> None:
    for name, pair in pairs.items():
        ours, theirs = (np.asarray(values, np.float64) for values in pair)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=5e-5, err_msg=name)


def _peak() -> float:
    """GB of memory at the most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform != "darwin" else 1) / 1e9


def _line(what: str, one: dict[str, Any]) -> str:
    return f"{what}: {one['seconds']:,.1f} s · peak {one['peak']:.2f} GB · {one['columns']} columns"


if __name__ == "__main__":
    sys.exit(main())
