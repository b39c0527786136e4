"""Does learning together pay? Every body and weighting against single-task twins, on one night's features.

    python benchmarks/multitask.py [--artifacts artifacts] [--variants mmoe ple …] [--seeds 1 2 3] [--out FOLDER]

Run `dvc repro features pretrain` first. The twin `alone_<task>` is the same network made for one task, with the same
budget, batches and seeds. Each (variant, seed) is trained once and kept under `--out`: a second call adds what lacks.
Prints, a variant: every task's figure on the windows for choosing (validation and fusion) and on the test window, its
gain over the twins with a 95 % interval over seeds, and the seconds it took; then, of `--report`, the cosines between
the tasks' gradients, each expert's share by task, and λ by epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import yaml
from resume import kept_in

from triad.artifacts import replacing_file
from triad.config.params import Params, merge, parse
from triad.digests import digest
from triad.examples.dataset import Dataset, load
from triad.kinds import KINDS
from triad.members.sequence import Sequence
from triad.reexec import reexec_when_full
from triad.statistics import metrics
from triad.statistics.bootstrap import draw, value
from triad.training.diagnostics import cosines, expert_use, gradient_grams, lambdas, over_seeds
from triad.training.finetuning import finetune_network
from triad.training.runtime import Runtime, settle

TWIN = "alone_"
VARIANTS: dict[str, dict] = {
    "mmoe": {},
    **{name: {"body": name} for name in ("single_task", "shared_bottom", "ple", "aitm", "stem")},
    "cgc": {"body": "ple", "levels": 1},
    "escm2_ips": {"counterfactual": "ips"},
    "escm2_dr": {"counterfactual": "dr"},
    **{name: {"weighting": name} for name in ("fixed", "dwa", "famo", "gradnorm", "pcgrad", "cagrad")},
}
WINDOWS = {"choosing": ("validation", "fusion"), "test": ("test",)}


def figures(data: Dataset, params: Params, scores: dict, rows: np.ndarray) -> dict[str, float]:
    """Each task's figure on `rows`, more is better: AUC, or the negative of log loss and mean absolute error."""
    by_task = {}
    for name, of_rows in scores.items():
        labels, kind = np.asarray(data.labels(name)[rows], np.float64), KINDS[params.tasks[name].kind]
        known = np.isfinite(labels)
        labels, values, each = labels[known], of_rows[known], np.arange(known.sum())
        if kind.is_event:
            by_task[name] = value(metrics.auc(labels > 0.5, values, each, draw(len(each), 0, 1)))
        else:
            by_task[name] = -float(kind.row_loss(kind.contribution(values, labels), labels, least=1e-9).mean())
    return by_task


def train(night: tuple[Dataset, Params, Runtime, Path], dials: dict, seed: int) -> dict:
    """Figures by window, and seconds, of one network. `night`: examples, dials, runtime, the pretrained folder."""
    data, params, runtime, pretrained = night
    finetune = params.finetune.model_validate({**params.finetune.model_dump(), **dials, "seed": seed})
    start = time.monotonic()
    ranker, history = finetune_network(
        data,
        params.tasks,
        finetune,
        runtime,
        trunk=params.pretrain.trunk,
        pretrained=Sequence.load(pretrained).network,
    )
    seconds = time.monotonic() - start
    found = {}
    for window, splits in WINDOWS.items():
        rows = np.concatenate([data.rows(split) for split in splits])
        found[window] = figures(data, params, ranker.predict(data, rows), rows)
    network = ranker.network
    rows = {unit: data.rows("validation", unit) for unit in network.units}
    within = {"lambda": lambdas(history, ranker.tasks), **cosines(gradient_grams(network, data, rows))}
    for unit, heads in network.units.items():
        if hasattr(heads.body, "mix"):
            within[f"experts · {unit}"] = expert_use(network, data, unit, rows[unit])
    return {**found, "seconds": seconds, "within": {name: each.tolist() for name, each in within.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--variants", nargs="+", help="by default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--report", default="mmoe")
    parser.add_argument("--set", default="{}", help="laid over finetune, for all: '{max_epochs: 4}'")
    parser.add_argument("--out", type=Path, default=Path("runs/multitask"))
    asked = parser.parse_args()
    values = merge(yaml.safe_load(asked.params.read_text()), {"finetune": yaml.safe_load(asked.set)})
    params = parse(values, str(asked.params))
    runtime = settle(params.runtime, 1)
    data = load(asked.artifacts / "features")
    out = kept_in(asked.out, params, *(digest(asked.artifacts / name) for name in ("features", "pretrain")))
    variants = VARIANTS | {TWIN + task: {"tasks": (task,)} for task in data.meta.tasks["exposures"]}
    chosen = asked.variants or list(variants)
    for seed in asked.seeds:
        for variant in chosen:
            path = out / f"{variant}_{seed}.json"
            if not path.is_file():
                found = train((data, params, runtime, asked.artifacts / "pretrain"), variants[variant], seed)
                with replacing_file(path) as fresh:
                    fresh.write_text(json.dumps(found))
                print(f"{variant} {seed}: {found['seconds']:.0f} s {found['choosing']}", file=sys.stderr)
                reexec_when_full()
    kept = {v: [json.loads((out / f"{v}_{s}.json").read_text()) for s in asked.seeds] for v in chosen}
    print(f"{len(asked.seeds)} seeds, {os.cpu_count()} cores; more is better; gain over the twins, 95 % over seeds\n")
    for window in WINDOWS:
        for task in data.meta.tasks["exposures"]:
            print(f"{window} · {task}")
            alone = [each[window][task] for each in kept.get(TWIN + task, [])]
            for variant, runs in kept.items():
                if task not in runs[0][window]:
                    continue
                found = [each[window][task] for each in runs]
                row = f"  {variant:<14} {np.mean(found):9.5f}"
                if alone and variant != TWIN + task:
                    gain = over_seeds(found, alone)
                    row += f"  {gain['gain']:+.5f} [{gain['lo']:+.5f}, {gain['hi']:+.5f}]"
                print(f"{row}  {np.mean([each['seconds'] for each in runs]):6.0f} s")
    if asked.report in kept:
        print(f"\n{asked.report}, seed {asked.seeds[0]}, tasks {', '.join(data.meta.tasks['exposures'])}")
        for name, values in kept[asked.report][0]["within"].items():
            print(f"{name}\n{np.array(values).round(3)}")


if __name__ == "__main__":
    main()
