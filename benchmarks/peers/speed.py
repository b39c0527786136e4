"""How fast Triad's MMoE learns beside other people's models: the same rows, machine and cores, in one run.

    python benchmarks/peers/speed.py [--rounds 6] [--only triad rechub …] [--folder runs/peers/speed]

After `dvc repro features`, by `make peers-speed`. Each contender is a process of its own that trains for a turn, an
epoch or a share of one, when it is asked to, so they all take turns and none trains beside another. Triad learns all
tasks of exposures, or click and conversion alone, compiled (the default here) or not; Torch-RecHub's MMoE learns these
two; a model of RecBole learns one. Prints exposures a second and a processor-second, medians and quartiles over turns,
and how long each took until its best AUC on validation, beside Triad's time until it was as good on the same tasks.
What compiling takes is in the first turn, and counts there; starting, reading and validating do not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from export import export, history

from triad.artifacts import ARTIFACTS
from triad.config.params import load as load_params
from triad.environment import ENVIRONMENT
from triad.examples.dataset import load

HERE = Path(__file__).resolve().parent
STEPS = 64
"""Interactions of an exposure's history that peers read, as `pretrain.trunk.max_steps`."""

CLOCKS = ("seconds", "processor")

Told = list[dict[str, Any]]
"""What each turn took and reached."""


def contenders(folder: Path) -> dict[str, list[str]]:
    """Name → the command of its process. Slow ones take several turns an epoch."""
    rows, files = str((folder / "rows.npz").resolve()), str((folder / "recbole").resolve())
    triad = [sys.executable, str(HERE / "speed_triad.py")]
    rechub = [str(Path("runs/peers/venv/bin/python").absolute()), str(HERE / "speed_rechub.py"), rows]
    recbole = [str(Path("runs/peers/recbole/bin/python").absolute()), str(HERE / "speed_recbole.py"), rows, files]
    return {
        "triad": triad,
        "triad, not compiled": [*triad, "--xla", "off"],
        "triad, two tasks": [*triad, "--tasks", "click", "conversion"],
        "triad, two tasks, not compiled": [*triad, "--tasks", "click", "conversion", "--xla", "off"],
        "rechub": rechub,
        "rechub, history": [*rechub, "--history"],
        "rechub, its loader": [*rechub, "--loader", "--turns", "6"],
        "recbole DeepFM": [*recbole, "--model", "DeepFM", "--turns", "2"],
        "recbole DIN": [*recbole, "--model", "DIN", "--turns", "60", "--unjudged"],
    }


def race(commands: dict[str, list[str]], rounds: int) -> dict[str, Told]:
    """Name → its turns, one a round."""
    environment = os.environ | ENVIRONMENT
    running = {
        name: subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    told: dict[str, Told] = {name: [] for name in commands}
    try:
        for turn in range(rounds):
            for name, process in running.items():
                assert process.stdin and process.stdout
                process.stdin.write("on\n")
                process.stdin.flush()
                told[name].append(json.loads(process.stdout.readline()))
                print(f"turn {turn + 1} · {name}: {told[name][-1]}", file=sys.stderr, flush=True)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return told


def until(turns: Told, tasks: list[str], target: float) -> tuple[int, float, float] | None:
    """Exposures, seconds and processor-seconds until the mean AUC of `tasks` is `target`; None if it never is."""
    for count, last in enumerate(turns, 1):
        if np.mean([last["auc"][task] for task in tasks]) >= target:
            learned, *took = (sum(each[name] for each in turns[:count]) for name in ("examples", *CLOCKS))
            return learned, *took
    return None


def report(told: dict[str, Told]) -> None:
    """Print rates, then times."""
    for name, turns in told.items():
        rates = [np.quantile([each["examples"] / each[clock] for each in turns], [0.5, 0.25, 0.75]) for clock in CLOCKS]
        shown = [f"{middle:,.0f} ({low:,.0f} … {high:,.0f})" for middle, low, high in rates]
        print(f"{name}: {shown[0]} exposures a second, {shown[1]} a processor-second, {len(turns)} turns")
    for name, turns in told.items():
        if not (tasks := list(turns[0]["auc"])):
            continue
        best = max(float(np.mean([*each["auc"].values()])) for each in turns)
        print(f"\n{name}: best mean AUC of {', '.join(tasks)} {best:.4f}")
        for other in (name, *(each for each in told if each.startswith("triad") and each != name)):
            reached = until(told[other], tasks, best)
            took = reached and f"{reached[1]:.1f} s, {reached[2]:.1f} processor-s, {reached[0]:,} exposures"
            print(f"    {other}: {took or 'not reached'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="+", help="names of contenders")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers/speed"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    data = load(ARTIFACTS / "features")
    np.savez(asked.folder / "rows.npz", **export(load_params().tasks, data), history=history(data, STEPS))
    chosen = {name: each for name, each in contenders(asked.folder).items() if asked.only is None or name in asked.only}
    told = race(chosen, asked.rounds)
    (asked.folder / "told.json").write_text(json.dumps(told, indent=1))
    report(told)


if __name__ == "__main__":
    main()
