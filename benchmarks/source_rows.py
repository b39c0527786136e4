"""Does a source task mislead the target because it has learned from the very rows that the target learns from?

    python benchmarks/source_rows.py [--task purchase] [--seeds 1 2 3] [--keep runs/source_rows]

On the examples in `artifacts/features` of the present checkout or workspace. The train users fall into two halves. The
source task `next` is learned from one half's interactions, and the target tasks from one half's exposures: from
nothing, from the source of the other half, and from the source of the same half, whose labels that source has seen.
Nothing is read of the test window: losses are of the train rows and the validation window, AUC of the fusion window.
"""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from resume import kept_in
from sklearn.metrics import roc_auc_score

from triad.artifacts import ARTIFACTS, read_json, write_json
from triad.config.params import Params, load, merge, parse
from triad.digests import digest
from triad.examples.dataset import Dataset
from triad.examples.dataset import load as load_data
from triad.features.dataset import SPLITS
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.runtime import Runtime, settle

TRAIN = SPLITS.index("train")
STARTS = ("nothing", "the other half", "the same half")


def streams_of(data: Dataset, users: np.ndarray) -> Dataset:
    """`data` whose source task learns from the interactions of `users` (mask) alone."""
    owner = np.repeat(np.arange(len(data.streams.offsets) - 1), np.diff(data.streams.offsets))
    split = np.array(data.streams.split)
    split[(split == TRAIN) & ~users[owner]] = -1
    return replace(data, streams=replace(data.streams, split=split))


def exposures_of(data: Dataset, users: np.ndarray) -> Dataset:
    """`data` whose target tasks learn from the exposures of `users` (mask) alone."""
    split = np.array(data.exposures.split)
    split[(split == TRAIN) & ~users[np.asarray(data.exposures.user)]] = -1
    return data.replaced(exposures=replace(data.exposures, split=split))


def measure(data: Dataset, params: Params, task: str, runtime: Runtime, seed: int) -> dict[str, dict[str, float]]:
    """Start → losses of `task` at the best epoch, and its AUC."""
    half = np.random.default_rng(seed).permutation(len(data.users.user_id)) % 2 == 0
    taught_by = {"the other half": ~half, "the same half": half}
    rows, found = data.rows("fusion"), {}
    labels = data.labels(task)[rows]
    known = np.isfinite(labels)
    for start in STARTS:
        source = None
        if start in taught_by:
            source = pretrain_network(streams_of(data, taught_by[start]), params.pretrain, runtime)[0].network
        ranker, history = finetune_network(
            exposures_of(data, half),
            params.tasks,
            params.finetune,
            runtime,
            trunk=params.pretrain.trunk,
            pretrained=source,
        )
        best = min(history, key=lambda row: row["validation_loss"])
        scores = ranker.predict(data, rows, [task])[task]
        found[start] = {
            "train": best[f"train_{task}"],
            "validation": best[f"validation_{task}"],
            "auc": float(roc_auc_score(labels[known] > 0, scores[known])),
        }
        print(f"seed {seed}, from {start}: {found[start]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="purchase", help="a binary one")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--keep", type=Path, default=Path("runs/source_rows"))
    asked = parser.parse_args()
    values = yaml.safe_load(Path("params.yaml").read_text())
    runtime, data = settle(load(Path("params.yaml")).runtime, 1), load_data(ARTIFACTS / "features")
    print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}, {runtime}", flush=True)
    keep = kept_in(asked.keep, values, digest(ARTIFACTS / "features"))
    every = []
    for seed in asked.seeds:
        path = keep / f"{asked.task}_{seed}.json"
        if not path.is_file():
            params = parse(merge(values, {name: {"seed": seed} for name in ("pretrain", "finetune")}), "benchmark")
            write_json(path, measure(data, params, asked.task, runtime, seed))
        every.append(read_json(path))
    print("\n| Source learned from | train loss | validation loss | AUC, fusion window |\n|---|---|---|---|")
    for start in STARTS:
        cells = [[found[start][name] for found in every] for name in ("train", "validation", "auc")]
        print(
            f"| {start} | "
            + " | ".join(f"{np.mean(cell):.4f} ({min(cell):.4f} to {max(cell):.4f})" for cell in cells)
            + " |"
        )


if __name__ == "__main__":
    main()
