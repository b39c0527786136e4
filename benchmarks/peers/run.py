"""Other people's models on the rows that `export.py` wrote, in an environment of their own (requirements.txt beside this).

    python run.py ROWS.npz OUT [--trials 10] [--seeds 1 2 3 4 5] [--peers mmoe ple esmm aitm lightgbm]

Each peer is searched with the same number of trials (Optuna, TPE) by its mean validation AUC, then fitted with each seed.
`OUT/<peer>_<seed>.npz` holds its probabilities of the test rows, `OUT/<peer>.json` what was chosen. What is there already is
not run again. No label of the fusion and test windows is read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from lightgbm import LGBMClassifier, early_stopping
from sklearn.metrics import roc_auc_score

Scores = dict[str, np.ndarray]
EPOCHS, PATIENCE, BATCH = 12, 3, 1024


@dataclass(frozen=True)
class Rows:
    """One split."""

    dense: np.ndarray
    sparse: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Problem:
    """Rows by split; `filled` has the same with missing numbers 0 and all standardised, as networks want it."""

    tasks: list[str]
    given: list[str]
    names: list[str]
    sizes: list[int]
    raw: dict[str, Rows]
    filled: dict[str, Rows]


def read(path: Path) -> Problem:
    """What `export.py` wrote; labels of later windows are dropped at once."""
    with np.load(path) as file:
        found = {name: file[name] for name in file.files}
    splits = [str(name) for name in found["splits"]]
    place = {name: np.flatnonzero(found["split"] == splits.index(name)) for name in ("train", "validation", "test")}
    train = found["dense"][place["train"]]
    mean, std = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    standard = np.nan_to_num((found["dense"] - np.nan_to_num(mean)) / np.where(std > 0, std, 1))

    def rows(dense: np.ndarray) -> dict[str, Rows]:
        return {
            name: Rows(dense[at], found["sparse"][at], found["labels"][at] if name != "test" else np.zeros((0, 0)))
            for name, at in place.items()
        }

    return Problem(
        [str(name) for name in found["tasks"]],
        [str(name) for name in found["given"]],
        [str(name) for name in found["sparse_names"]],
        [int(size) + 1 for size in found["sparse"].max(axis=0)],
        rows(found["dense"]),
        rows(standard.astype(np.float32)),
    )


def trees(problem: Problem, dials: dict[str, Any], seed: int) -> Callable[[str], Scores]:
    """LightGBM, a model a task on all its rows."""
    fitted = {}

    def table(split: str) -> np.ndarray:
        return np.c_[problem.raw[split].sparse, problem.raw[split].dense]

    for place, task in enumerate(problem.tasks):
        model = LGBMClassifier(n_estimators=1000, random_state=seed, n_jobs=1, verbose=-1, subsample_freq=1, **dials)
        held = table("validation"), problem.raw["validation"].labels[:, place]
        categorical = list(range(len(problem.names)))
        fitted[task] = model.fit(
            table("train"),
            problem.raw["train"].labels[:, place],
            eval_set=[held],
            eval_metric="binary_logloss",
            categorical_feature=categorical,
            callbacks=[early_stopping(50, verbose=False)],
        )
    return lambda split: {task: model.predict_proba(table(split))[:, 1] for task, model in fitted.items()}


def tree_dials(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 20, 500, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30, log=True),
    }


def network_dials(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "lr": trial.suggest_float("lr", 3e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-7, 1e-3, log=True),
        "embed_dim": trial.suggest_categorical("embed_dim", [4, 8, 16]),
        "width": trial.suggest_categorical("width", [32, 64, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "experts": trial.suggest_categorical("experts", [2, 4, 8]),
    }


def network(kind: str) -> Callable[[Problem, dict[str, Any], int], Callable[[str], Scores]]:
    """A multi-task model of Torch-RecHub, trained here with Adam, the sum of log losses and early stopping.

    Its own trainer stops by one task's AUC; here it is the mean over tasks, by which all peers are searched.
    """
    import torch
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models.multi_task import AITM, ESMM, MMOE, PLE

    torch.set_num_threads(1)

    def build(problem: Problem, dials: dict[str, Any]) -> Any:
        sparse = [
            SparseFeature(name, vocab_size=size, embed_dim=dials["embed_dim"])
            for name, size in zip(problem.names, problem.sizes, strict=True)
        ]
        dense = [DenseFeature(f"dense_{place}") for place in range(problem.filled["train"].dense.shape[1])]
        body = {"dims": [dials["width"]], "activation": "relu", "dropout": dials["dropout"]}
        tower = {"dims": [dials["width"] // 2], "activation": "relu", "dropout": dials["dropout"]}
        kinds, towers = ["classification"] * len(problem.tasks), [dict(tower) for _ in problem.tasks]
        if kind == "mmoe":
            return MMOE([*dense, *sparse], kinds, dials["experts"], body, towers)
        if kind == "ple":
            return PLE([*dense, *sparse], kinds, 1, max(dials["experts"] // 2, 1), max(dials["experts"] // 2, 1), body, towers)
        if kind == "aitm":
            return AITM([*dense, *sparse], len(problem.tasks), body, towers)
        # ESMM reads embeddings alone: numbers enter as bins (see `binned`)
        users = [each for each in sparse if each.name.startswith("attribute")]
        bins = [SparseFeature(each.name, vocab_size=BINS + 2, embed_dim=dials["embed_dim"]) for each in dense]
        items = [each for each in sparse if each not in users] + bins
        return ESMM(users, items, {"dims": [dials["width"]]}, {"dims": [dials["width"]]})

    def fit(problem: Problem, dials: dict[str, Any], seed: int) -> Callable[[str], Scores]:
        torch.manual_seed(seed)
        random, model = np.random.default_rng(seed), build(problem, dials)
        cuts = np.nanquantile(problem.raw["train"].dense, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)

        def inputs(split: str) -> dict[str, Any]:
            rows = problem.filled[split]
            found = {name: torch.from_numpy(rows.sparse[:, place].astype(np.int64)) for place, name in enumerate(problem.names)}
            for place in range(rows.dense.shape[1]):
                column = rows.dense[:, place]
                if kind == "esmm":
                    column = binned(problem.raw[split].dense[:, place], cuts[:, place])
                found[f"dense_{place}"] = torch.from_numpy(column)
            return found

        optimizer = torch.optim.Adam(model.parameters(), lr=dials["lr"], weight_decay=dials["weight_decay"])
        x, y = inputs("train"), torch.from_numpy(problem.filled["train"].labels)
        later, truth, best = inputs("validation"), problem.filled["validation"].labels, (-1.0, None, 0)

        def ask(batch: dict[str, Any]) -> Any:
            said = model(batch)
            if kind == "esmm":  # conversion given a click, click, conversion: in our order of click and conversion
                said = torch.stack([said[:, 1], said[:, 2]], dim=1)
            return said.clamp(1e-7, 1 - 1e-7)

        def predict(batch: dict[str, Any]) -> np.ndarray:
            model.eval()
            with torch.no_grad():
                size = len(next(iter(batch.values())))
                parts = [ask({n: v[s : s + 8192] for n, v in batch.items()}).numpy() for s in range(0, size, 8192)]
            return np.concatenate(parts)

        for epoch in range(EPOCHS):
            model.train()
            for at in np.array_split(random.permutation(len(y)), max(len(y) // BATCH, 1)):
                said = ask({name: values[at] for name, values in x.items()})
                loss = torch.nn.functional.binary_cross_entropy(said, y[at], reduction="none").mean(dim=0).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            reached = mean_auc(truth, predict(later))
            if reached > best[0]:
                best = reached, {name: value.clone() for name, value in model.state_dict().items()}, epoch
            elif epoch - best[2] >= PATIENCE:
                break
        model.load_state_dict(best[1])
        return lambda split: dict(zip(problem.tasks, predict(inputs(split)).T, strict=True))

    return fit


BINS = 20


def binned(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(n,) 1 … BINS by equal mass, 0 where missing."""
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(cuts, values)).astype(np.int64)


def mean_auc(labels: np.ndarray, said: np.ndarray) -> float:
    return float(np.mean([roc_auc_score(labels[:, place], said[:, place]) for place in range(labels.shape[1])]))


def peer(name: str, problem: Problem, folder: Path, trials: int, seeds: list[int]) -> None:
    """Search, then one fit a seed."""
    fit, dials = (trees, tree_dials) if name == "lightgbm" else (network(name), network_dials)
    if name == "esmm" and problem.given[1:] != problem.tasks[:1]:
        print("esmm: needs two tasks, the second given the first; left out")
        return
    chosen = folder / f"{name}.json"
    if not chosen.is_file():
        start = time.monotonic()

        def objective(trial: optuna.Trial) -> float:
            said = fit(problem, dials(trial), 0)("validation")
            return mean_auc(problem.raw["validation"].labels, np.stack([said[task] for task in problem.tasks], axis=1))

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
        study.optimize(objective, n_trials=trials)
        said = {"dials": study.best_params, "validation_auc": study.best_value, "trials": trials}
        chosen.write_text(json.dumps(said | {"seconds": time.monotonic() - start}, indent=2))
    best = json.loads(chosen.read_text())["dials"]
    for seed in seeds:
        target = folder / f"{name}_{seed}.npz"
        if not target.is_file():
            np.savez(target, **fit(problem, best, seed)("test"))
            print(f"{name} seed {seed} done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--peers", nargs="+", default=["lightgbm", "mmoe", "ple", "esmm", "aitm"])
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked.out.mkdir(parents=True, exist_ok=True)
    problem = read(asked.rows)
    for name in asked.peers:
        peer(name, problem, asked.out, asked.trials, asked.seeds)


if __name__ == "__main__":
    main()
