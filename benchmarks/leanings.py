"""What does `finetune.dot_product_init` earn on a log whose context tells nothing of a user's leanings?

    python benchmarks/leanings.py [--starts 0 0.3 1] [--seeds 1 2 3 4 5] [--rows 40000] [--folder runs/leanings]

A made-up log of what was shown: 600 users and 200 items belong to one of eight kinds each, and a user clicks on 82 % of
what is of their own kind and on 5 % of all else. It is read by the form "tabular" as any such log is: what was clicked
is what later rows read, the latest tenth is the test. The network learns from nothing, in batches of 256.

Prints, for each start, test AUC by seed (of the log and of the network), and the AUC of knowing the kinds. Dials were
chosen on another log of the same kind; nothing is chosen here.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.metrics import roc_auc_score

from triad.arrays import Ints
from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.runtime import RuntimeParams
from triad.datasets.tabular import read, tasks
from triad.datasets.tabular.form import TabularForm
from triad.training.finetuning import finetune_network
from triad.training.runtime import settle

USERS, ITEMS, KINDS = 600, 200, 8
FORM = {
    "form": "tabular",
    "files": [{"path": "shown.csv"}],
    "user": "user",
    "item": "item",
    "clock": {"start": "second", "epoch": "seconds"},
    "steps": {"label": "click"},
    "labels": {"click": {"column": "click", "kind": "binary"}},
    "split": {"rule": "time", "train": 0.7, "validation": 0.1, "fusion": 0.1},
}


def write(folder: Path, rows: int, seed: int) -> tuple[Ints, Ints]:
    """The log as CSV; gives each user's and item's kind."""
    random = np.random.default_rng(seed)
    kind_of_user, kind_of_item = random.integers(0, KINDS, USERS), random.integers(0, KINDS, ITEMS)
    user, item = random.integers(0, USERS, rows), random.integers(0, ITEMS, rows)
    click = random.random(rows) < np.where(kind_of_user[user] == kind_of_item[item], 0.82, 0.05)
    lines = [f"{u},{i},{row},{int(c)}" for row, (u, i, c) in enumerate(zip(user, item, click, strict=True))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shown.csv").write_text("\n".join(["user,item,second,click", *lines]) + "\n")
    return kind_of_user, kind_of_item


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", nargs="+", type=float, default=[0, 0.3, 1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/leanings"))
    asked = parser.parse_args()
    form = TabularForm.model_validate(FORM)
    runtime = settle(RuntimeParams(), 1)
    print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}, {runtime}", flush=True)
    trunk = TrunkParams(dim=16, layers=1, heads=1, max_steps=8, dropout=0.0)
    found: dict[float, list[float]] = {start: [] for start in asked.starts}
    for seed in asked.seeds:
        kind_of_user, kind_of_item = write(asked.folder, asked.rows, seed)
        data = read(form, asked.folder)
        rows = data.rows("test")
        clicked = data.labels("click")[rows] > 0
        user = np.asarray(data.users.user_id[data.exposures.user[rows]]).astype(int)
        item = np.asarray(data.items.item_id[data.exposures.item[rows]]).astype(int)
        known = float(roc_auc_score(clicked, (kind_of_user[user] == kind_of_item[item]).astype(float)))
        for start in asked.starts:
            dials = {"dot_product_init": start, "batch_exposures": 256, "learning_rate": 2e-3, "dropout": 0.1}
            sizes = {"expert_dim": 16, "head_dim": 8, "max_epochs": 12}
            params = FinetuneParams(init="scratch", seed=seed, **dials, **sizes)
            ranker, history = finetune_network(data, tasks(form), params, runtime, trunk=trunk)
            found[start].append(float(roc_auc_score(clicked, ranker.predict(data, rows, ["click"])["click"])))
            print(f"seed {seed}, start {start:g}: AUC {found[start][-1]:.4f} after {len(history)} epochs", flush=True)
        print(f"seed {seed}, knowing the kinds: {known:.4f}", flush=True)
    print("\n| dot_product_init | test AUC, mean over seeds | between seeds |\n|---|---|---|")
    for start, values in found.items():
        print(f"| {start:g} | {np.mean(values):.4f} | ± {np.std(values, ddof=1) if len(values) > 1 else 0:.4f} |")


if __name__ == "__main__":
    main()
