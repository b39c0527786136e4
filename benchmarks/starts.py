"""What a stage's process takes before its work begins: the command line, params.yaml and the stage's imports.

Run with `.venv/bin/python benchmarks/starts.py FOLDER…`, where each folder is a checkout. Each round starts every stage
once in every folder, in turn, so that other work on the machine hits all alike. What runs is `triad STAGE`, its restart
in an environment of its own included; only the stage's function does nothing. `check` is `triad check`. With `--later`
the function imports the members that the stage makes. Shown: median, quartiles, and the medians' ratio to those of the
last folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

STAGES = ("ingest", "validate", "champion", "features", "similarity", "profile")
HOOK = """
import importlib, os
load = importlib.import_module
def later(params):
    if os.environ.get("LATER"):
        try:
            from triad.config.members import RECIPES
        except ModuleNotFoundError:  # a checkout in which stages import their members at once
            return
        for module in {recipe.module for recipe in RECIPES.values() if recipe.stage == os.environ["LATER"]}:
            load(module)
def import_module(name, package=None):
    module = load(name, package)
    if name.startswith("triad.stages."):
        setattr(module, name.rpartition(".")[2], later)
    return module
importlib.import_module = import_module
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", default=15, type=int)
    parser.add_argument("--stages", nargs="+", default=["check", *STAGES], metavar="STAGE")
    parser.add_argument("--later", action="store_true", help="with the stage's members")
    chosen = parser.parse_args()
    folders = [folder.resolve() for folder in chosen.folders]
    taken: dict[tuple[str, Path], list[tuple[float, float]]] = {}
    for lap in range(chosen.rounds + 1):
        for stage in chosen.stages:
            for folder in folders:
                cost = started(folder, stage, later=chosen.later)
                if lap:  # the first round reads files that no cache holds, and may compile them
                    taken.setdefault((stage, folder), []).append(cost)
    print(f"{'start':12}{'folder':24}{'processor s':>24}{'ratio':>8}{'wall s':>24}{'ratio':>8}")
    for stage in chosen.stages:
        for folder in folders:
            cells = [f"{stage:12}{folder.name:24}"]
            for which in (0, 1):
                values = [each[which] for each in taken[stage, folder]]
                low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
                ratio = middle / statistics.median(each[which] for each in taken[stage, folders[-1]])
                cells.append(f"{f'{middle:.3f} ({low:.3f}–{high:.3f})':>24}{ratio:>8.3f}")
            print("".join(cells))
    machine = f"{os.cpu_count()} cores · load {os.getloadavg()[0]:.1f} · Python {platform.python_version()}"
    print(f"{chosen.rounds} rounds · {machine}")


def started(folder: Path, stage: str, *, later: bool) -> tuple[float, float]:
    """Processor seconds and seconds of one process, in a folder where all that the stage reads is there.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory() as here:
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(folder / name, here)
        for path in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].get(stage, {}).get("deps", []):
            if path.startswith("artifacts/"):
                Path(here, path).mkdir(parents=True, exist_ok=True)
        Path(here, "sitecustomize.py").write_text(HOOK)
        path = os.pathsep.join((here, str(folder / "src")))
        environment = {**os.environ, "PYTHONPATH": path, "LATER": stage if later else ""}
        words = [sys.executable, "-m", "triad", stage]
        start = time.perf_counter()
        process = subprocess.Popen(words, cwd=here, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{stage} of {folder} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, seconds


if __name__ == "__main__":
    main()
