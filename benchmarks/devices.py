"""What a GPU earns: one night's two networks trained on each device and in each precision, from the same seed.

    python benchmarks/devices.py [--artifacts artifacts] [--epochs 3] [--repeats 2] [--settings gpu/float32/auto …]

Run `dvc repro features` first. A setting is `runtime.device/precision/xla`; each repeat is a process of its own.
`pretrain`, then `finetune` from it, learn for so many epochs. Prints, a network and setting: seconds of the first epoch
(in which the step is traced, and compiled if at all), train examples a second in the later ones, validation included,
the loss on validation with NDCG@10 or the AUC of clicks and conversions, and whether the repeats ended in the same
weights, bit for bit. Compare seconds within one call alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import yaml

from triad.config.params import merge, parse
from triad.examples.dataset import Dataset, load
from triad.members.network import NetworkScorer
from triad.statistics import metrics
from triad.statistics.bootstrap import draw, value
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.pretraining_feeds import targets
from triad.training.runtime import settle

SETTINGS = ("cpu/float32/auto", "gpu/float32/auto", "gpu/float32/on", "gpu/mixed_bfloat16/auto")


class Clock:
    """The seconds of each epoch, of all that lies between two calls."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = time.monotonic()

    def __call__(self, _: dict[str, float]) -> None:
        now = time.monotonic()
        self.seconds.append(now - self._last)
        self._last = now


def digest(weights: list[np.ndarray]) -> str:
    """Equal for equal weights, bit for bit."""
    return hashlib.blake2b(b"".join(np.ascontiguousarray(each).tobytes() for each in weights)).hexdigest()[:12]


def figures(ranker: NetworkScorer, data: Dataset) -> dict[str, float]:
    """AUC on validation of clicks and conversions."""
    rows, found = data.rows("validation"), {}
    scores = ranker.predict(data, rows)
    for name in ("click", "conversion"):
        labels = np.asarray(data.labels(name)[rows])
        known = np.isfinite(labels)
        each = np.arange(known.sum())
        found[name] = value(metrics.auc(labels[known] > 0.5, scores[name][known], each, draw(len(each), 0, 1)))
    return found


def train(artifacts: Path, setting: str, epochs: int) -> dict[str, Any]:
    """Both networks by one setting, in this process."""
    device, precision, xla = setting.split("/")
    raw = yaml.safe_load(Path("params.yaml").read_text())
    length = {"max_epochs": epochs, "patience": epochs}
    chosen = {"runtime": {"device": device, "precision": precision, "xla": xla}, "pretrain": length, "finetune": length}
    params, data = parse(merge(raw, chosen), "params.yaml"), load(artifacts / "features")
    runtime = settle(params.runtime, params.finetune.seed)

    clock = Clock()
    model, history = pretrain_network(data, params.pretrain, runtime, on_epoch=clock)
    found = {"pretrain": {"seconds": clock.seconds, "history": history, "weights": digest(model.network.get_weights())}}

    clock = Clock()
    ranker, history = finetune_network(
        *(data, params.tasks, params.finetune, runtime),
        trunk=params.pretrain.trunk,
        pretrained=model.network,
        on_epoch=clock,
    )
    weights = digest(ranker.network.get_weights())
    found["finetune"] = {"seconds": clock.seconds, "history": history, "weights": weights, **figures(ranker, data)}
    return found


def row(setting: str, name: str, runs: list[dict[str, Any]], examples: int) -> str:
    """One network by one setting as a line of the table."""
    seconds = np.array([run["seconds"] for run in runs])
    best = min(runs[0]["history"], key=lambda each: each.get("validation_missed", each["validation_loss"]))
    rate = examples / seconds[:, 1:].mean() if seconds.shape[1] > 1 else float("nan")
    judged = {task: runs[0][task] for task in ("click", "conversion") if task in runs[0]}
    if "validation_missed" in best:
        judged["NDCG@10"] = 1 - best["validation_missed"]
    told = ", ".join(f"{metric} {figure:.4f}" for metric, figure in judged.items())
    same = "—" if len(runs) == 1 else "yes" if len({run["weights"] for run in runs}) == 1 else "no"
    return (
        f"| {name} | {setting} | {seconds[:, 0].mean():.1f} | {rate:,.0f} "
        f"| {best['validation_loss']:.4f} | {told} | {same} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--settings", nargs="+", default=SETTINGS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(train(asked.artifacts, asked.one, asked.epochs)))
        return

    data = load(asked.artifacts / "features")
    examples = {"pretrain": len(targets(data, "train").item), "finetune": len(data.rows("train"))}
    print(f"{platform.machine()}, {os.cpu_count()} cores; {examples}\n")
    print("| Network | device/precision/xla | first epoch, s | examples/s | validation loss | | repeats equal |")
    print("|---|---|---|---|---|---|---|", flush=True)
    command = [sys.executable, __file__, "--artifacts", str(asked.artifacts), "--epochs", str(asked.epochs), "--one"]
    for setting in asked.settings:
        runs = []
        for _ in range(asked.repeats):
            done = subprocess.run([*command, setting], stdout=subprocess.PIPE, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        for name, count in examples.items():
            print(row(setting, name, [run[name] for run in runs], count), flush=True)


if __name__ == "__main__":
    main()
