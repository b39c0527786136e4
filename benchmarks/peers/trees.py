"""LightGBM: a model a task, on all of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from lightgbm import LGBMClassifier, early_stopping
from problem import Problem, Rows, Scores


def dials(trial: optuna.Trial) -> dict[str, Any]:
    """What is searched."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 20, 500, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30, log=True),
    }


def fit(problem: Problem, chosen: dict[str, Any], seed: int) -> Callable[[str], Scores]:
    """The probabilities of a split's rows."""
    train, later, fitted = problem.splits["train"], problem.splits["validation"], {}
    for place, task in enumerate(problem.tasks):
        model = LGBMClassifier(n_estimators=1000, random_state=seed, n_jobs=1, verbose=-1, subsample_freq=1, **chosen)
        fitted[task] = model.fit(
            table(train),
            train.labels[:, place],
            eval_set=[(table(later), later.labels[:, place])],
            eval_metric="binary_logloss",
            categorical_feature=list(range(len(problem.names))),
            callbacks=[early_stopping(50, verbose=False)],
        )
    return lambda split: {task: each.predict_proba(table(problem.splits[split]))[:, 1] for task, each in fitted.items()}


def table(rows: Rows) -> np.ndarray:
    """(n, sparse + dense), unknown numbers NaN."""
    return np.c_[rows.sparse, rows.dense]
