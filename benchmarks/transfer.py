"""What does having learned before earn, and learning together, by how much of the target task's data there is?

    python benchmarks/transfer.py [--size small] [--window 56] [--shares 0.01 0.05 0.2 1] [--seeds 1 2 3 4 5]
                                  [--modes alone next/full next/delta market/full …] [--watched 0.25]
                                  [--set section.key=value …] [--keep FOLDER]

A mode is a source and how much of it may change, `SOURCES` / `finetune.transfer`:
* next, masked, both: the trunk, from the source task on the streams of all users;
* market: the whole network, from another shop's log, with other customers and other products (seed + 1000).

Of the exposures, a share of the train users' is kept; every mode and its twin from nothing (`scratch`) learn clicks and
conversions from the same ones, for as many epochs (more where data is scarce), and stop by the validation rows of a
share `watched` of the users. `alone` is `scratch` without the clicks. Data, source and networks have the seed; all of
it is chosen before the test window, which is read once.

Prints each run, then by share the mean over seeds of test AUC and of the paired difference to `scratch`, with 95 %
intervals from a bootstrap over users within each seed; the same on new users and on cold items; and what the source
gate says of each mode on the validation window. Runs lie in `--keep`, a folder for each size and
settings and code, so that a killed benchmark goes on.
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
from resume import kept_in
from shop_params import shop_params

from triad.artifacts import replacing_file
from triad.config.params import Params
from triad.evaluation.source import judge_source
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.features.champion import origins
from triad.features.dataset import SPLITS
from triad.features.state import State
from triad.members.network import NetworkScorer
from triad.models.warm_start import InitialModel
from triad.reexec import reexec_when_full
from triad.sources.simulated import simulate
from triad.statistics import metrics
from triad.statistics.bootstrap import Draws, draw, interval
from triad.tables import connect
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.runtime import Runtime, settle
from triad.training.sourcing import validation_rows

TASKS, RESAMPLES = ("click", "conversion"), 500
SOURCES = ("next", "masked", "both", "market")
MODES = [
    "alone",
    *(f"{source}/{way}" for source in ("next", "market") for way in ("full", "frozen", "gradual", "delta")),
]
AUC = "auc: "
MIN_TAKEN = 30
"""A slice with fewer events has no AUC worth a line."""


def kept(data: Dataset, split: str, share: float, seed: int) -> Dataset:
    """`data` with the exposures in `split` of a share of its users alone."""
    rows, marks = data.rows(split), np.array(data.exposures.split)
    owner = np.asarray(data.exposures.user)[rows]
    users = np.unique(owner)
    chosen = np.random.default_rng((seed, SPLITS.index(split))).permutation(users)[: max(round(share * len(users)), 1)]
    marks[rows[~np.isin(owner, chosen)]] = -1
    return data.replaced(exposures=replace(data.exposures, split=marks))


def read(params: Params) -> tuple[Dataset, State]:
    """One shop's examples."""
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    with connect(simulate(params.ingest).whole()[0]) as session:
        return fit(session, params.features, params.tasks, window, None)


def prepare(source: str, params: Params, data: Dataset, state: State, runtime: Runtime) -> dict[str, object]:
    """What `finetune_network` starts from."""
    if source != "market":
        settings = params.pretrain.model_copy(update={"task": source})
        return {"pretrained": pretrain_network(data, settings, runtime)[0].network}
    elsewhere = params.ingest.simulated.model_copy(update={"seed": params.ingest.simulated.seed + 1000})
    params = params.model_copy(update={"ingest": params.ingest.model_copy(update={"simulated": elsewhere})})
    theirs, known = read(params)
    trunk = pretrain_network(theirs, params.pretrain, runtime)[0].network
    ranker, _ = learn(theirs, params, runtime, {"pretrained": trunk})
    rows = origins(known.vocabularies, state.vocabularies, params.champion.market.apart)
    return {"initial": InitialModel(ranker.network, rows)}


def learn(
    data: Dataset, params: Params, runtime: Runtime, start: dict[str, object]
) -> tuple[NetworkScorer, dict[str, float]]:
    """One mode's network, and how long it took."""
    began, trunk = time.perf_counter(), params.pretrain.trunk
    ranker, history = finetune_network(data, params.tasks, params.finetune, runtime, trunk=trunk, **start)
    best = min(history, key=lambda row: row["validation_loss"])
    return ranker, {"seconds": time.perf_counter() - began, "epochs": len(history), "best": best["validation_loss"]}


def estimates(data: Dataset, scores: dict[str, np.ndarray], draws: Draws) -> dict[str, np.ndarray]:
    """(1 + resamples,) test AUC of each task on all rows and on the slices."""
    rows = data.rows("test")
    user, found = np.asarray(data.exposures.user)[rows], {}
    slices = {"": np.ones(len(rows), bool), ", new users": np.asarray(data.exposures.is_new_user)[rows]}
    slices[", cold items"] = np.asarray(data.exposures.is_cold_item)[rows]
    for task in scores:
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
    parser.add_argument("--modes", nargs="+", default=MODES, help=f"of alone and {SOURCES} / a way of transfer")
    parser.add_argument("--watched", type=float, default=0.25)
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    parser.add_argument("--keep", type=Path, default=Path("runs/transfer"))
    asked = parser.parse_args()
    runtime = settle(with_changes(asked, 1).runtime, 1)
    asked.keep = kept_in(asked.keep, with_changes(asked, 1), asked.watched)
    print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}, {runtime}", flush=True)
    table: dict[tuple[float, str], list[dict[str, np.ndarray]]] = {}
    gates: dict[tuple[float, str], list[object]] = {}
    for seed in asked.seeds:
        for (share, mode), (found, gain) in run(asked, seed, runtime).items():
            table.setdefault((share, mode), []).append(found)
            gates.setdefault((share, mode), []).append(gain)
        reexec_when_full()
    report(table, gates)


def run(asked: argparse.Namespace, seed: int, runtime: Runtime) -> dict[tuple[float, str], tuple[dict, object]]:
    """(share, mode) → test AUCs with their resamples, and the gate's word; of one seed, read back where they lie."""
    wanted = [(share, mode) for share in asked.shares for mode in ("scratch", *asked.modes)]
    files = {cell: asked.keep / f"{cell[1].replace('/', '-')}_{cell[0]:g}_{seed}.npz" for cell in wanted}
    if not all(path.is_file() for path in files.values()):
        params = with_changes(asked, seed)
        data, state = read(params)
        data = kept(data, "validation", asked.watched, seed)
        draws = draw(len(data.users.user_id), RESAMPLES, seed)
        starts: dict[str, dict[str, object]] = {"": {}}
        for (share, mode), path in files.items():
            if path.is_file():
                continue
            few = kept(data, "train", share, seed)
            source, _, way = mode.partition("/") if "/" in mode else ("", "", "")
            if source not in starts:
                began = time.perf_counter()
                starts[source] = prepare(source, params, data, state, runtime)
                print(f"seed {seed}: {source} in {time.perf_counter() - began:.0f} s", flush=True)
            changes = ({"transfer": way} if way else {}) | ({"init": "market"} if source == "market" else {})
            changes |= {"tasks": ("conversion",)} if mode == "alone" else {}
            settings = params.model_copy(
                update={"finetune": params.finetune.at_share(share).model_copy(update=changes)}
            )
            ranker, told = learn(few, settings, runtime, starts[source])
            found = estimates(few, ranker.predict(few, few.rows("test")), draws)
            user = np.asarray(few.exposures.user)[few.rows("validation")]
            with replacing_file(path) as fresh:
                aucs = {AUC + task: values for task, values in found.items()}
                np.savez(fresh, losses=validation_rows(ranker, few), user=user, **aucs)
            aucs = {name: round(float(values[0]), 4) for name, values in found.items()}
            print(f"seed {seed} share {share:g} {mode}: {told} {aucs}", flush=True)
    runs = {cell: arrays(path) for cell, path in files.items()}
    return {
        (share, mode): (
            {name.removeprefix(AUC): values for name, values in kept.items() if name.startswith(AUC)},
            judge_source(runs[share, "scratch"]["losses"], kept["losses"], kept["user"], seed=seed),
        )
        for (share, mode), kept in runs.items()
    }


def with_changes(asked: argparse.Namespace, seed: int) -> Params:
    """`params.yaml` with what was asked for; of few rows other tasks may have no label."""
    return shop_params(asked.size, asked.window, seed, asked.set, TASKS)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def report(table: dict, gates: dict) -> None:
    """Means over the seeds."""
    every = [found for (_, mode), runs in table.items() if mode == "scratch" for found in runs]
    cells = [cell for cell in every[0] if all(cell in found for found in every)]
    seeds = len(next(iter(table.values())))
    print(f"\n{seeds} seeds\n| Share | Mode | {' | '.join(cells)} | source gate |\n|---|---|{'---|' * len(cells)}---|")
    for (share, mode), runs in table.items():
        values = []
        for cell in cells:
            if not all(cell in found for found in runs):
                values.append("")
                continue
            mean = np.mean([found[cell] for found in runs], axis=0)
            against = np.mean([found[cell] for found in table[share, "scratch"]], axis=0)
            values.append(shown(mean) if mode == "scratch" else shown(mean - against, "+"))
        name = mode if mode == "scratch" else f"{mode} − scratch"
        said = f"helps on {sum(gain.helps for gain in gates[share, mode])} of {seeds}" if "/" in mode else ""
        print(f"| {share:.0%} | {name} | {' | '.join(values)} | {said} |", flush=True)


if __name__ == "__main__":
    main()
