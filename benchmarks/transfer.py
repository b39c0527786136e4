"""What does a trunk that has learned before earn, by how much of the target task's data there is?

    python benchmarks/transfer.py [--size small] [--window 56] [--shares 0.01 0.05 0.2 1] [--seeds 1 2 3 4 5]
                                  [--modes full frozen gradual delta] [--source next] [--watched 0.25]
                                  [--set section.key=value …]

The source task reads the streams of all users. Of the exposures, a share of the train users' is kept; every mode and
its twin from nothing (`scratch`) learn from the same ones, for as many epochs (more where data is scarce), and stop by
the validation rows of a share `watched` of the users. Data, source and networks have the seed; all of it is chosen
before the test window, which is read once.

Prints each run, then by share the mean over seeds of test AUC and of the paired difference to `scratch`, with 95 %
intervals from a bootstrap over users within each seed; the same on new users and on cold items; and what the source
gate says of each mode on the validation window.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import yaml

from triad.config.params import Params, merge, parse
from triad.evaluation import metrics
from triad.evaluation.bootstrap import Draws, draw, interval
from triad.evaluation.source import judge_source
from triad.features.build import fit
from triad.features.dataset import SPLITS, Dataset
from triad.models.networks import SequenceNetwork
from triad.models.ranker import Ranker
from triad.sources.simulated import simulate
from triad.tables import connect
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.runtime import Runtime, settle
from triad.training.sourcing import validation_rows

TASKS, RESAMPLES = ("click", "conversion"), 500
MIN_TAKEN = 30
"""A slice with fewer events has no AUC worth a line."""


def kept(data: Dataset, split: str, share: float, seed: int) -> Dataset:
    """`data` with the exposures in `split` of a share of its users alone."""
    rows, marks = data.rows(split), np.array(data.exposures.split)
    owner = np.asarray(data.exposures.user)[rows]
    users = np.unique(owner)
    chosen = np.random.default_rng((seed, SPLITS.index(split))).permutation(users)[: max(round(share * len(users)), 1)]
    marks[rows[~np.isin(owner, chosen)]] = -1
    return replace(data, exposures=replace(data.exposures, split=marks))


def dials(params: Params, share: float) -> dict[str, object]:
    """Epochs and batches by the share: as many steps as a small batch and patience can make of it."""
    epochs = round(params.finetune.max_epochs * min(share**-0.4, 5))
    batch = min(params.finetune.batch_exposures, 1 << max(6, int(np.log2(16_384 * share))))
    return {"max_epochs": epochs, "batch_exposures": batch, "patience": max(params.finetune.patience, epochs // 5)}


def learn(
    data: Dataset, params: Params, runtime: Runtime, source: SequenceNetwork | None
) -> tuple[Ranker, dict[str, float]]:
    """One mode's network, and how long it took."""
    began, trunk = time.perf_counter(), params.pretrain.trunk
    ranker, history = finetune_network(data, params.tasks, params.finetune, runtime, trunk=trunk, pretrained=source)
    best = min(history, key=lambda row: row["validation_loss"])
    return ranker, {"seconds": time.perf_counter() - began, "epochs": len(history), "best": best["validation_loss"]}


def estimates(data: Dataset, scores: dict[str, np.ndarray], draws: Draws) -> dict[str, np.ndarray]:
    """(1 + resamples,) test AUC of each task on all rows and on the slices."""
    rows = data.rows("test")
    user, found = np.asarray(data.exposures.user)[rows], {}
    slices = {"": np.ones(len(rows), bool), ", new users": np.asarray(data.exposures.is_new_user)[rows]}
    slices[", cold items"] = np.asarray(data.exposures.is_cold_item)[rows]
    for task in TASKS:
        labels = data.labels(task)[rows]
        for name, inside in slices.items():
            known = np.isfinite(labels) & inside
            if (labels[known] > 0).sum() >= MIN_TAKEN:
                found[task + name] = metrics.auc(labels[known] > 0, scores[task][known], user[known], draws)
    return found


def shown(values: np.ndarray, sign: str = "") -> str:
    low, high = interval(values, 0.95)
    return f"{values[0]:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small")
    parser.add_argument("--window", type=int, default=56)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.05, 0.2, 1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--modes", nargs="+", default=["full", "frozen", "gradual", "delta"])
    parser.add_argument("--source", default="next", choices=["next", "masked", "both"])
    parser.add_argument("--watched", type=float, default=0.25)
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    asked = parser.parse_args()
    runtime: Runtime | None = None
    table: dict[tuple[float, str], list[dict[str, np.ndarray]]] = {}
    gates: dict[tuple[float, str], list[object]] = {}
    for seed in asked.seeds:
        params = with_changes(asked, seed)
        if runtime is None:
            runtime = settle(params.runtime, seed)
            print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}, {runtime}", flush=True)
        window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
        with connect(simulate(params.ingest).whole()[0]) as session:
            data, _ = fit(session, params.features, params.tasks, window, None)
        data = kept(data, "validation", asked.watched, seed)
        began = time.perf_counter()
        source = pretrain_network(data, params.pretrain, runtime)[0].network
        print(f"seed {seed}: source in {time.perf_counter() - began:.0f} s", flush=True)
        draws = draw(len(data.users.user_id), RESAMPLES, seed)
        for share in asked.shares:
            few = kept(data, "train", share, seed)
            user = np.asarray(few.exposures.user)[few.rows("validation")]
            beside = None
            for mode in ("scratch", *asked.modes):
                changes = dials(params, share) | ({} if mode == "scratch" else {"transfer": mode})
                settings = params.model_copy(update={"finetune": params.finetune.model_copy(update=changes)})
                ranker, told = learn(few, settings, runtime, None if mode == "scratch" else source)
                losses = validation_rows(ranker, few)
                beside = losses if beside is None else beside
                found = estimates(few, ranker.predict(few, few.rows("test"), TASKS), draws)
                table.setdefault((share, mode), []).append(found)
                gates.setdefault((share, mode), []).append(judge_source(beside, losses, user, seed=seed))
                aucs = {name: round(float(values[0]), 4) for name, values in found.items()}
                print(f"seed {seed} share {share:g} {mode}: {told} {aucs} {gates[share, mode][-1]}", flush=True)
        report(table, gates, asked)


def with_changes(asked: argparse.Namespace, seed: int) -> Params:
    """`params.yaml` with what was asked for."""
    changes = {name: {"seed": seed} for name in ("features", "pretrain", "finetune")}
    changes["ingest"] = {"window_days": asked.window, "simulated": {"size": asked.size, "seed": seed}}
    changes["pretrain"]["task"] = asked.source
    for dial in asked.set:
        path, _, text = dial.partition("=")
        change = yaml.safe_load(text)
        for key in reversed(path.split(".")):
            change = {key: change}
        changes = merge(changes, change)
    values = merge(yaml.safe_load(Path("params.yaml").read_text()), changes)
    values["tasks"] = {name: values["tasks"][name] for name in TASKS}  # of few rows others may have no label
    return parse(values, "benchmark")


def report(table: dict, gates: dict, asked: argparse.Namespace) -> None:
    """Means over the seeds done so far."""
    cells = [f"{task}{part}" for task in TASKS for part in ("", ", new users", ", cold items")]
    cells = [cell for cell in cells if all(cell in found for runs in table.values() for found in runs)]
    seeds = len(next(iter(table.values())))
    print(f"\n{seeds} seeds\n| Share | Mode | {' | '.join(cells)} | source gate |\n|---|---|{'---|' * len(cells)}---|")
    for (share, mode), runs in table.items():
        means = {cell: np.mean([found[cell] for found in runs], axis=0) for cell in cells}
        against = {cell: np.mean([found[cell] for found in table[share, "scratch"]], axis=0) for cell in cells}
        if mode == "scratch":
            values, said = [shown(means[cell]) for cell in cells], ""
        else:
            values = [shown(means[cell] - against[cell], "+") for cell in cells]
            said = f"helps on {sum(gain.helps for gain in gates[share, mode])} of {seeds}"
        name = mode if mode == "scratch" else f"{mode} − scratch"
        print(f"| {share:.0%} | {name} | {' | '.join(values)} | {said} |", flush=True)


if __name__ == "__main__":
    main()
