"""Multi-task models of Torch-RecHub, trained with Adam on the sum of log losses, stopped by the mean validation AUC.

The library's own trainer stops by one task's AUC; here it is the mean over tasks, by which all peers are searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import torch
from problem import BINS, Problem, Rows, Scores
from torch.nn.functional import binary_cross_entropy
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.multi_task import AITM, ESMM, MMOE, PLE

EPOCHS, PATIENCE, BATCH, SCORED = 12, 3, 1024, 8192

Inputs = dict[str, Any]

torch.set_num_threads(1)


def dials(trial: optuna.Trial) -> dict[str, Any]:
    """What is searched."""
    return {
        "lr": trial.suggest_float("lr", 3e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-7, 1e-3, log=True),
        "embed_dim": trial.suggest_categorical("embed_dim", [4, 8, 16]),
        "width": trial.suggest_categorical("width", [32, 64, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "experts": trial.suggest_categorical("experts", [2, 4, 8]),
    }


def build(kind: str, problem: Problem, chosen: dict[str, Any], sequences: Sequence[Any] = ()) -> Any:
    """The model. ESMM reads embeddings alone: to it numbers come in bins. The others may read `sequences`, too."""
    size, width = chosen["embed_dim"], chosen["width"]
    sparse = [SparseFeature(n, vocab_size=s, embed_dim=size) for n, s in zip(problem.names, problem.sizes, strict=True)]
    dense = [f"dense_{place}" for place in range(problem.splits["train"].dense.shape[1])]
    if kind == "esmm":
        users = [each for each in sparse if each.name.startswith("attribute")]
        rest = [each for each in sparse if each not in users]
        rest += [SparseFeature(name, vocab_size=BINS + 1, embed_dim=size) for name in dense]
        return ESMM(users, rest, {"dims": [width, width // 2]}, {"dims": [width, width // 2]})
    features = [DenseFeature(name) for name in dense] + sparse + [*sequences]
    body, count = {"dims": [width], "activation": "relu", "dropout": chosen["dropout"]}, len(problem.tasks)
    towers = [{"dims": [width // 2], "activation": "relu", "dropout": chosen["dropout"]} for _ in problem.tasks]
    if kind == "aitm":
        return AITM(features, count, body, towers)
    kinds = ["classification"] * count
    if kind == "ple":
        half = max(chosen["experts"] // 2, 1)
        return PLE(features, kinds, 1, half, half, body, towers)
    return MMOE(features, kinds, chosen["experts"], body, towers)


def inputs(kind: str, problem: Problem, rows: Rows) -> Inputs:
    """Columns by name."""
    found = {name: torch.from_numpy(rows.sparse[:, place].copy()) for place, name in enumerate(problem.names)}
    numbers = rows.bins if kind == "esmm" else rows.filled
    return found | {f"dense_{place}": torch.from_numpy(column.copy()) for place, column in enumerate(numbers.T)}


def ask(kind: str, model: Any, batch: Inputs) -> Any:
    """(n, tasks) probabilities."""
    said = model(batch)
    if kind == "esmm":  # it gives conversion given a click, click, both; the tasks are click and both
        said = said[:, 1:3]
    return said.clamp(1e-7, 1 - 1e-7)


def fit(kind: str, problem: Problem, chosen: dict[str, Any], seed: int) -> Callable[[str], Scores]:
    """The probabilities of a split's rows."""
    torch.manual_seed(seed)
    random, model = np.random.default_rng(seed), build(kind, problem, chosen)
    optimizer = torch.optim.Adam(model.parameters(), lr=chosen["lr"], weight_decay=chosen["weight_decay"])
    train = problem.splits["train"]
    x, y = inputs(kind, problem, train), torch.from_numpy(train.labels)

    def predict(split: str) -> Scores:
        model.eval()
        rows = inputs(kind, problem, problem.splits[split])
        count = len(problem.splits[split].sparse)
        with torch.no_grad():
            parts = [
                ask(kind, model, {name: values[start : start + SCORED] for name, values in rows.items()}).numpy()
                for start in range(0, count, SCORED)
            ]
        return dict(zip(problem.tasks, np.concatenate(parts).T, strict=True))

    best, weights, waited = -1.0, model.state_dict(), 0
    for _ in range(EPOCHS):
        model.train()
        for at in np.array_split(random.permutation(len(y)), max(len(y) // BATCH, 1)):
            said = ask(kind, model, {name: values[at] for name, values in x.items()})
            loss = binary_cross_entropy(said, y[at], reduction="none").mean(dim=0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        reached, waited = problem.auc(predict("validation")), waited + 1
        if reached > best:
            best, waited = reached, 0
            weights = {name: value.clone() for name, value in model.state_dict().items()}
        elif waited >= PATIENCE:
            break
    model.load_state_dict(weights)
    return predict
