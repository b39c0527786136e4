"""What a stage's process takes before its work begins: the command line, params.yaml and the stage's imports.

Run with `.venv/bin/python benchmarks/starts.py FOLDER…`, where each folder is a checkout. Each round starts every stage
once in every folder, in turn, so that other work on the machine hits all alike. The stage's own function does nothing,
what is around it does all. `check` is the whole command `triad check`, which restarts itself in an environment of its
own. `--later` adds the modules of the members that the stage makes. Shown: median, quartiles, and the medians' ratio to
those of the last folder.
"""

from __future__ import annotations

import argparse
import ast
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

STAGES = ("ingest", "validate", "features", "similarity", "profile", "publish", "champion")
OWN = """
try:
    from triad.environment import ENVIRONMENT
except ImportError:
    from triad.cli import ENVIRONMENT
print(repr(ENVIRONMENT))
"""
START = """
import importlib, sys
from triad import cli
stage, later = sys.argv[1:]
module = importlib.import_module(f"triad.stages.{stage}")
setattr(module, stage, lambda params: None)
cli.commands.main([stage], standalone_mode=False)
if later:
    from triad.config.members import RECIPES
    for module in {recipe.module for recipe in RECIPES.values() if recipe.stage == stage}:
        importlib.import_module(module)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", default=15, type=int)
    parser.add_argument("--stages", nargs="+", default=["check", *STAGES], metavar="STAGE")
    parser.add_argument("--later", action="store_true", help="with the stage's members")
    chosen = parser.parse_args()
    folders = [folder.resolve() for folder in chosen.folders]
    own = {folder: own_environment(folder) for folder in folders}
    taken: dict[tuple[str, Path], list[tuple[float, float]]] = {}
    for lap in range(chosen.rounds + 1):
        for stage in chosen.stages:
            for folder in folders:
                cost = started(folder, stage, own[folder], later=chosen.later)
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


def own_environment(folder: Path) -> dict[str, str]:
    """The variables that `triad` of `folder` sets before it starts."""
    words = [sys.executable, "-c", OWN]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    return ast.literal_eval(subprocess.check_output(words, env=environment, text=True))


def started(folder: Path, stage: str, own: dict[str, str], *, later: bool) -> tuple[float, float]:
    """Processor seconds and seconds of one process, in a folder where all that the stage reads is there.

    Raises:
        RuntimeError: it failed.
    """
    words = ["-m", "triad", "check"] if stage == "check" else ["-c", START, stage, "later" if later else ""]
    with tempfile.TemporaryDirectory() as here:
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(folder / name, here)
        for path in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].get(stage, {}).get("deps", []):
            if path.startswith("artifacts/"):
                Path(here, path).mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **({} if stage == "check" else own), "PYTHONPATH": str(folder / "src")}
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], cwd=here, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{stage} of {folder} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, seconds


if __name__ == "__main__":
    main()
