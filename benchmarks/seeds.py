"""The simulated shop under several seeds: does each task reach its bar, and does fusing pay?

    python benchmarks/seeds.py [--size small] [--seeds 1 2 3 4 5] [--folder runs/seeds]

Each seed is a shop of its own, with networks of its own: the whole pipeline runs in a workspace a seed, by DVC, so that
a second call only reads what is there. Prints a table a task, the mean over shops with Student's interval (between-shop
variation, so that it speaks of shops not tried), and whether every bar is met on every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import t

SHARE = 0.9
"""Of the oracle's AUC gain over 0.5, to be reached by `click` and `conversion`."""


def run(seed: int, size: int, folder: Path) -> dict[str, dict]:
    """The metrics of one seed's night.

    Beside them, as `fusing_out_of_fold`, what fusing adds where weights are chosen, in each task's loss or its lists'
    NDCG@k: of the fusion itself, also where it is not sure enough to serve.
    """
    overlay = folder / f"seed_{seed}.yaml"
    sections = ("pretrain", "finetune", "similarity", "profile", "fuse", "evaluate", "features")
    values = {"ingest": {"simulated": {"size": size, "seed": seed}}} | {name: {"seed": seed} for name in sections}
    overlay.write_text(yaml.safe_dump(values))
    place, start = folder / f"{size}_{seed}", time.monotonic()
    subprocess.run(["triad", "workspace", str(overlay), str(place)], check=True, stdout=subprocess.DEVNULL)
    with (folder / f"{size}_{seed}.log").open("w") as log:
        subprocess.run(["dvc", "repro", "evaluate"], cwd=place, check=True, stdout=log, stderr=log)
    print(f"seed {seed}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    record = json.loads((place / "artifacts" / "fuse" / "fusion.json").read_text())["record"]
    metrics = json.loads((place / "artifacts" / "evaluate" / "metrics.json").read_text())
    metrics = {task: metrics[task] for task in record if task in metrics}  # there is more than tasks
    for task, values in metrics.items():
        gain = record[task]["gain"]
        values["fusing_out_of_fold"] = {"value": gain["value"], "lo": gain["low"], "hi": gain["high"]}
    return metrics


def shown(figure: dict | float | None) -> str:
    """A figure with its interval."""
    if not isinstance(figure, dict):
        return "–" if figure is None else f"{figure:.5f}"
    return f"{figure['value']:.5f} [{figure['lo']:.5f}, {figure['hi']:.5f}]"


def over_shops(figures: list[dict | float | None]) -> str:
    """The mean of a figure over shops, and its 95 % interval by Student's t; of one shop, nothing."""
    values = np.array([_number(figure) for figure in figures if figure is not None])
    if len(values) < 2:
        return "–"
    mean, half = values.mean(), t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{mean:.5f} [{mean - half:.5f}, {mean + half:.5f}]"


def bars(metrics: dict[str, dict]) -> dict[str, bool]:
    """Each bar by name, and whether one night meets it."""
    met = {
        f"{task} ≥ {SHARE:.0%} of the oracle's gain": _value(metrics[task], "oracle_share") >= SHARE
        for task in ("click", "conversion")
    }
    for task in ("profile", "price"):
        met[f"{task} above naive, interval clear of zero"] = metrics[task]["gain_over_naive"]["lo"] > 0
    for task, values in metrics.items():
        met[f"{task}: fusion ≥ best member"] = _value(values, "gain_over_best_member") >= 0
    return met


def _value(values: dict, name: str) -> float:
    return _number(values[name])


def _number(figure: dict | float) -> float:
    return figure["value"] if isinstance(figure, dict) else figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--folder", type=Path, default=Path("runs/seeds"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    nights = {seed: run(seed, asked.size, asked.folder.resolve()) for seed in asked.seeds}
    print(
        f"{asked.size} shop, {os.cpu_count()} cores, Python {platform.python_version()}; test window, 95 % intervals\n"
    )
    for task in next(iter(nights.values())):
        for name in (
            "auc",
            "macro_f1",
            "mae",
            "ndcg",
            "hit",
            "oracle_share",
            "gain_over_naive",
            "gain_over_best_member",
            "fusing_out_of_fold",
        ):
            row = {seed: metrics[task].get(name) for seed, metrics in nights.items()}
            if any(value is not None for value in row.values()):
                cells = [*map(shown, row.values()), "mean " + over_shops(list(row.values()))]
                print(f"{task:<11} {name:<22} " + " · ".join(f"{cell:<28}" for cell in cells))
        print()
    failed = 0
    for name in bars(next(iter(nights.values()))):
        verdicts = [bars(metrics)[name] for metrics in nights.values()]
        failed += not all(verdicts)
        print(f"{'met   ' if all(verdicts) else 'MISSED'} {name}: " + ", ".join(map(str, verdicts)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
