"""What a stage's task costs beside Airflow's own: trivial stages and plain BashOperators, by turns, in one real run.

    python benchmarks/airflow_overhead.py [--pairs 8]

Starts an Airflow of its own on a repository of its own. A task's time is from its start to the next one's, so it holds
the scheduler's part too. The first run makes every stage; it is then cleared, and the second one skips them. Before
that: how long a process that has imported Airflow takes to read the project's own DAGs, twice.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from make_airflow import Airflow, airflow

DAG_FILE = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, chain
from triad.airflow.operators import OpenWorkspace, RunStage

with DAG("overhead", schedule=None, is_paused_upon_creation=False):
    chain(
        OpenWorkspace(task_id="open", arguments=lambda context: ["--as-of", "2026-03-01"]),
        *(
            task
            for n in range(PAIRS)
            for task in (RunStage(task_id=f"stage_{n}", stage=f"stage_{n}"),
                         BashOperator(task_id=f"bash_{n}", bash_command="true"))
        ),
        BashOperator(task_id="end", bash_command="true"),
    )
"""

READ = """
import time
import make_airflow
from airflow.dag_processing.dagbag import DagBag
start = time.monotonic()
bag = DagBag(str(make_airflow.ROOT / "dags"))
print(f"{len(bag.dags)} DAGs read in {time.monotonic() - start:.2f} s")
"""


def repository(folder: Path, pairs: int) -> Path:
    """A checkout whose pipeline has `pairs` trivial stages, and whose DAG runs each beside a plain task."""
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "overhead.py").write_text(DAG_FILE.replace("PAIRS", str(pairs)))
    stages = "".join(f"  stage_{n}: {{cmd: touch out_{n}, outs: [out_{n}: {{persist: true}}]}}\n" for n in range(pairs))
    (folder / "dvc.yaml").write_text("stages:\n" + stages)
    (folder / "params.yaml").write_text("ingest: {as_of: '2026-01-01'}\n")
    (folder / ".gitignore").write_text(".airflow/\n.triad/\nruns/\n*.log\nmlflow.db\n")
    known = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (
        ["git", "init", "--quiet"],
        [sys.executable, "-m", "dvc", "init", "--quiet"],
        ["git", "add", "."],
        ["git", *known, "commit", "--quiet", "--message", "Trivial stages"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def seconds(started: Airflow, run: str) -> dict[str, list[float]]:
    """Kind of task → seconds from each one's start to the next one's."""
    tasks = [t for t in started.tasks(run).values() if t["task_id"] != "open"]
    starts = sorted((datetime.fromisoformat(t["start_date"]), t["task_id"]) for t in tasks)
    found: dict[str, list[float]] = {"stage": [], "bash": []}
    for (start, task), (then, _) in pairwise(starts):
        found[task.partition("_")[0]].append((then - start).total_seconds())
    return found


def measure(started: Airflow) -> None:
    """A run whose stages are made, and the same run whose stages are skipped."""
    run = started.trigger("overhead")
    for what in ("stage made", "stage skipped"):
        assert started.wait(run) == "success", started.states(run)
        took = seconds(started, run)
        for name, find in (("median", median), ("mean", mean)):
            stage, bash = find(took["stage"]), find(took["bash"])
            print(f"{what}, {name}: {stage:.2f} s a task, BashOperator {bash:.2f} s, more by {stage - bash:+.2f} s")
        print(f"{len(took['stage'])} of each by turns, load {os.getloadavg()[0]:.1f}")
        if what == "stage made":
            started.clear(run, "stage_0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    pairs = parser.parse_args().pairs
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", READ], cwd=Path(__file__).parents[1] / "tests", check=True)
    with tempfile.TemporaryDirectory() as scratch:
        shop = repository(Path(scratch) / "shop", pairs)
        with airflow(shop, TRIAD_CHECKOUT=str(shop)) as started:
            measure(started)


if __name__ == "__main__":
    main()
