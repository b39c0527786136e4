"""Two public tables: what does multi-task learning earn, and what does fusing plain and deep members?

    TRIAD_DATASETS=… python benchmarks/tabular.py STUDY … [--seeds 1 2 3 4 5] [--show validation] [--plain] [--rotate]
                                                          [--held each] [--leave-out 4]

`hillstrom`: an e-mail campaign; visit → conversion → spend from who the customer is and which e-mail was sent. The
network of all tasks against its single-task twins at the same budget, logistic regression and LightGBM.
The other three: PAKDD'15, is the visitor a man? `visits` reads each visit alone; `visitors` joins the visits of a
visitor, who can be told from the order of the file, and reads the earlier ones too; `strangers` does so with visitors
dealt whole to the splits, so that no test visitor is known.

Prints means over seeds, and 95 % intervals from a bootstrap over users in which one draw holds
for all seeds and models, so that differences are paired. Weights come from fusion rows.
Choose dials with `--show validation`; the test rows are for the end. `--rotate` tests every row once: with seed s the
test rows are those whose number leaves s − 1 by 5, and the ones before them are held for validation and fusion.
`--held each` holds each fifth that is not test in turn: every fit is stopped, calibrated and weighted on rows that it
has not learned from, the answer is the mean of the four, and all rows but the test's have taught. `--rotate
--leave-out 4` tries such things without the test rows (seeds 1 to 4).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from resume import kept_in

from triad.artifacts import replacing_file
from triad.config.finetune import FinetuneParams
from triad.config.fuse import FuseParams
from triad.config.pretrain import TrunkParams
from triad.config.profile import ProfileParams
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.datasets.tabular import TabularForm, read, tasks
from triad.examples.dataset import Dataset
from triad.fusion.fitting import fit_fusion
from triad.kinds import KINDS
from triad.members.logistic import Logistic
from triad.members.protocol import Member
from triad.members.trees import BoostedTrees
from triad.statistics import metrics
from triad.statistics.bootstrap import Draws, Estimate, draw, interval

if TYPE_CHECKING:
    from triad.training.runtime import Runtime

HILLSTROM = {
    "form": "tabular",
    "files": [{"path": "hillstrom/hillstrom.csv.gz"}],
    "categorical": ["history_segment", "zip_code", "channel", "mens", "womens", "newbie"],
    "numeric": {"recency": "plain", "history": "log1p", "mens": "plain", "womens": "plain", "newbie": "plain"},
    "item": "segment",
    "labels": {
        "visit": {"column": "visit", "kind": "binary"},
        "conversion": {"column": "conversion", "kind": "binary", "given": "visit"},
        "spend": {"column": "spend", "kind": "regression"},
    },
}
VISITS = {
    "form": "tabular",
    "files": [
        {"path": "pakdd15/trainingData.csv.gz", "columns": ["id", "start", "end", "paths"]},
        {"path": "pakdd15/trainingLabels.csv.gz", "columns": ["gender"]},
    ],
    "id": "id",
    "steps": {"column": "paths", "separator": ";", "path_separator": "/"},
    "clock": {"start": "start", "end": "end"},
    "labels": {"male": {"column": "gender", "kind": "binary", "positive": "male"}},
}
VISITORS = VISITS | {"user_restarts": "start"}
FORMS = {
    "hillstrom": HILLSTROM,
    "visits": VISITS,
    "visitors": VISITORS,
    "strangers": VISITORS | {"split": {"rule": "share"}},
}
NETWORKS = {
    "hillstrom": (
        TrunkParams(dim=16, layers=1, heads=1, max_steps=4, dropout=0.0, id_dropout=0.0),
        FinetuneParams(
            init="scratch", experts=4, expert_dim=32, head_dim=16, dropout=0.1, batch_exposures=2048, weighting="fixed",
            learning_rate=3e-3, max_epochs=8, patience=2,
        ),
    ),
    "pakdd": (
        TrunkParams(dim=32, layers=1, heads=2, max_steps=32, dropout=0.2),
        FinetuneParams(
            init="scratch", body="shared_bottom", expert_dim=64, batch_exposures=256, learning_rate=2e-3, max_epochs=8,
            patience=2,
        ),
    ),
}  # fmt: skip
TREES = {
    "hillstrom": ProfileParams(
        trees="lightgbm", learning_rate=0.03, leaves=8, column_share=0.5, row_share=0.8, bag_rows=0, patience=30
    ),
    "pakdd": ProfileParams(
        trees="lightgbm", learning_rate=0.05, column_share=0.3, row_share=0.8, min_rows_a_leaf=30, bag_rows=18_000
    ),
}
RESAMPLES = 1000

Figures = dict[str, dict[str, Callable]]
"""task → figure → its function."""
Answers = dict[tuple[str, str], np.ndarray]
"""(model, task) → one seed's scores on the rows shown."""


def only(data: Dataset, names: list[str]) -> Dataset:
    """`data` with these of its tasks alone."""
    columns = [data.meta.tasks["exposures"].index(name) for name in names]
    labels = np.asarray(data.exposures.labels)[:, columns]
    return data.replaced(
        exposures=replace(data.exposures, labels=labels), meta=replace(data.meta, tasks={"exposures": tuple(names)})
    )


def network(data: Dataset, asked: dict[str, TaskParams], kind: str, seed: int, runtime: Runtime) -> Member:
    from triad.training.finetuning import finetune_network  # seconds, which --plain need not wait for

    trunk, params = NETWORKS[kind]
    params = params.model_copy(update={"seed": seed})
    return finetune_network(only(data, list(asked)), asked, params, runtime, trunk=trunk)[0]


def trees(data: Dataset, asked: dict[str, TaskParams], kind: str, seed: int) -> Member:
    vectors = np.zeros((len(data.items.item_id), 1), np.float32)  # nothing was pretrained
    return BoostedTrees.fit(data, vectors, asked, TREES[kind].model_copy(update={"seed": seed}))


def hillstrom(data: Dataset, asked: dict[str, TaskParams], shown: str, seed: int, runtime: Runtime | None) -> Answers:
    rows = data.rows(shown)
    found: Answers = {}

    def keep(model: str, member: Member, names: list[str]) -> None:
        found.update({(model, name): scores for name, scores in member.predict(data, rows, names).items()})

    asked["spend"] = asked["spend"].model_copy(update={"weight": 0.1})  # its median is 0: little to learn, much noise
    if runtime is not None:
        keep("multi-task", network(data, asked, "hillstrom", seed, runtime), list(asked))
    for name, task in asked.items():
        single = {name: task.model_copy(update={"given": None})}
        if runtime is not None:
            keep("single-task", network(data, single, "hillstrom", seed, runtime), [name])
        keep("LightGBM", trees(data, single, "hillstrom", seed), [name])
        if KINDS[task.kind].is_event:
            keep("logistic regression", Logistic.fit(data, single), [name])
    funnel = {name: asked[name] for name in ("visit", "conversion")}
    keep("LightGBM, given visit", trees(data, funnel, "hillstrom", seed), ["conversion"])
    keep("logistic regression, given visit", Logistic.fit(data, funnel), ["conversion"])
    return found


def pakdd(data: Dataset, asked: dict[str, TaskParams], shown: str, seed: int, runtime: Runtime | None) -> Answers:
    """Chances less the share of men among train rows, so that 0 parts the answers.

    That is where a calibrated chance's mean recall is best; a threshold searched on the held rows follows their noise.
    """
    rows, share = data.rows(shown), data.labels("male")[data.rows("train")].mean()
    members: dict[str, Member] = {"logistic": Logistic.fit(data, asked), "trees": trees(data, asked, "pakdd", seed)}
    if runtime is not None:
        members["finetune"] = network(data, asked, "pakdd", seed, runtime)
    # nothing serves that this could harm, so the fusion need only be likelier better than not
    fused = fit_fusion(data, members, asked, FuseParams(members=tuple(members), confidence=0.01, seed=seed))
    print({name: round(weight, 2) for name, weight in fused.weights["male"].items()}, flush=True)
    found = {}
    for name, member in {**members, "fused": fused}.items():
        found[name, "male"] = member.predict(data, rows)["male"] - share
    return found


def balanced_accuracy(labels: np.ndarray, scores: np.ndarray, cluster: np.ndarray, draws: Draws) -> Estimate:
    """Mean of both classes' recall, "yes" from 0 on."""
    yes, says = labels > 0, scores >= 0
    total = draws.totals(cluster, np.stack([yes & says, yes, ~yes & ~says, ~yes], axis=1))
    return (total[:, 0] / total[:, 1] + total[:, 2] / total[:, 3]) / 2


def auc(labels: np.ndarray, scores: np.ndarray, cluster: np.ndarray, draws: Draws) -> Estimate:
    return metrics.auc(labels > 0, scores, cluster, draws)


def error_removed(labels: np.ndarray, scores: np.ndarray, cluster: np.ndarray, draws: Draws) -> Estimate:
    """Of the mean absolute error of naming the median, which is 0."""
    return metrics.regression(labels, scores, np.zeros(len(labels)), cluster, draws)["relative_gain"]


def report(tested: list[Dataset], seeds: list[Answers], shown: str, base: str, figures: Figures) -> None:
    """A table a task: each model, and how far `base` is above it. `tested`: what each seed read."""
    windows = []
    for data in tested:  # one draw of users for all seeds of the same rows; other rows are drawn on their own
        rows = data.rows(shown)
        users, cluster = np.unique(np.asarray(data.exposures.user)[rows], return_inverse=True)
        windows.append((data, rows, cluster, draw(len(users), RESAMPLES, 1 + int(rows[0]))))
    for task, by_name in figures.items():
        heads = " | ".join(f"{name} | seeds | {base} − it" for name in by_name)
        print(f"\n| {task}, {shown} | {heads} |\n|---|" + "---|---|---|" * len(by_name))
        table = {
            model: {
                name: np.array(
                    [
                        figure(np.asarray(data.labels(task), np.float64)[rows], answers[model, task], cluster, draws)
                        for (data, rows, cluster, draws), answers in zip(windows, seeds, strict=True)
                    ]
                )
                for name, figure in by_name.items()
            }
            for model, of in seeds[0]
            if of == task
        }
        for model, found in table.items():
            cells = []
            for name, values in found.items():
                gain = "" if model == base else told((table[base][name] - values).mean(axis=0), "+")
                cells += [told(values.mean(axis=0)), f"± {values[:, 0].std():.4f}", gain]
            print(f"| {model} | {' | '.join(cells)} |", flush=True)


def told(values: Estimate, sign: str = "") -> str:
    low, high = interval(values, 0.95)
    return f"{values[0]:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def answered(path: Path, make: Callable[[], Answers]) -> Answers:
    """What `path` holds; made, timed and kept where it does not exist."""
    if not path.is_file():
        began, found = time.perf_counter(), make()
        with replacing_file(path) as fresh:
            np.savez(fresh, **{"|".join(key): values for key, values in found.items()})
        print(f"{path.stem}: {time.perf_counter() - began:.0f} s", flush=True)
    with np.load(path) as kept:
        return {tuple(key.split("|")): kept[key] for key in kept}  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", choices=list(FORMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--show", choices=["validation", "fusion", "test"], default="test")
    parser.add_argument("--folder", type=Path, default=Path("runs/tabular"), help="keeps each seed's answers")
    parser.add_argument("--rotate", action="store_true", help="every row is a test row once")
    parser.add_argument("--held", choices=["before", "each"], default="before", help="the fifth before test, or each")
    parser.add_argument(
        "--leave-out", nargs="*", type=int, choices=range(5), default=[], help="fifths that nothing reads"
    )
    parser.add_argument("--plain", action="store_true", help="without the networks, in seconds")
    asked = parser.parse_args()
    asked.folder = kept_in(asked.folder)
    runtime = None if asked.plain else settled()
    for name in asked.studies:
        run(name, asked, runtime)


def settled() -> Runtime:
    from triad.training.runtime import settle

    return settle(RuntimeParams(xla="off"), 1)


def run(name: str, asked: argparse.Namespace, runtime: Runtime | None) -> None:
    """One study: its seeds' answers, and the tables."""
    study = hillstrom if name == "hillstrom" else pakdd
    kind = f"{'plain' if asked.plain else 'all'}{'_rotated' if asked.rotate else ''}"
    tested, seeds = [], []
    for seed in asked.seeds:
        answers = []
        for place, split in enumerate(splits(name, seed, asked)):
            form, data = examples(name, json.dumps(split))
            make = partial(study, data, tasks(form), asked.show, seed, runtime)
            part = "".join(f"_{key}_{'_'.join(map(str, split[key]))}" for key in ("held", "left_out") if split.get(key))
            answers.append(answered(asked.folder / f"{name}_{kind}{part}_{asked.show}_{seed}.npz", make))
            tested += [data] if place == 0 else []
        seeds.append({key: np.mean([each[key] for each in answers], axis=0) for key in answers[0]})
    base, figures = FIGURES[study.__name__]
    base = base if any(model == base for model, _ in seeds[0]) else "LightGBM"
    print(f"\n{name}, {len(seeds)} seeds", flush=True)
    report(tested, seeds, asked.show, base, figures)


@cache
def examples(name: str, split: str) -> tuple[TabularForm, Dataset]:
    """A study's data, dealt as `split` says in JSON."""
    form = TabularForm.model_validate(FORMS[name] | ({"split": json.loads(split)} if split != "{}" else {}))
    return form, read(form, Path(os.environ["TRIAD_DATASETS"]))


def splits(name: str, seed: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The form's split of each fit whose mean answers; {}: the form's own."""
    if "split" in FORMS[name] or not (asked.rotate or asked.held == "each"):
        return [{}]
    test = (seed - 1) % 5 if asked.rotate else 4
    free = [each % 5 for each in range(test - 1, test - 5, -1) if each % 5 not in asked.leave_out]
    held = free if asked.held == "each" else free[:1]
    return [{"rule": "modulo", "test": [test], "held": [each], "left_out": asked.leave_out} for each in held]


FIGURES: dict[str, tuple[str, Figures]] = {
    "hillstrom": (
        "multi-task",
        {"visit": {"AUC": auc}, "conversion": {"AUC": auc}, "spend": {"error removed": error_removed}},
    ),
    "pakdd": ("fused", {"male": {"balanced accuracy": balanced_accuracy, "AUC": auc}}),
}


if __name__ == "__main__":
    main()
