"""The rows that `export.py` wrote, as the peers read them: no label of the fusion and test windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

Scores = dict[str, np.ndarray]
"""task → (n,) probabilities."""

BINS = 20


@dataclass(frozen=True)
class Rows:
    """One split. `dense` is raw, NaN where unknown; `filled` is standardised, then 0; `bins` 0 unknown, 1 … BINS."""

    dense: np.ndarray
    filled: np.ndarray
    bins: np.ndarray
    sparse: np.ndarray
    labels: np.ndarray  # (n, tasks); of test none
    history: np.ndarray | None = None  # (n, steps, 2) items and kinds before it, 0 where there were fewer


@dataclass(frozen=True)
class Problem:
    """What is to be predicted from what."""

    tasks: list[str]
    given: list[str]  # of each task, "" where none
    names: list[str]  # of the sparse columns
    sizes: list[int]  # of their vocabularies
    splits: dict[str, Rows]

    def aucs(self, said: Scores) -> dict[str, float]:
        """AUC on validation of each task that is answered."""
        labels = dict(zip(self.tasks, self.splits["validation"].labels.T, strict=True))
        return {task: float(roc_auc_score(labels[task], scores)) for task, scores in said.items()}

    def auc(self, said: Scores) -> float:
        """Mean AUC over tasks on validation."""
        return float(np.mean([*self.aucs(said).values()]))


def read(path: Path) -> Problem:
    """What `export.py` wrote; labels of later windows are dropped at once."""
    with np.load(path) as file:
        found = {name: file[name] for name in file.files}
    order = [str(name) for name in found["splits"]]
    dense, sparse = found["dense"], found["sparse"]
    train = dense[found["split"] == order.index("train")]
    mean, std = np.nan_to_num(np.nanmean(train, axis=0)), np.nan_to_num(np.nanstd(train, axis=0))
    cuts = np.nanquantile(train, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
    splits = {}
    for name in ("train", "validation", "test"):
        at = found["split"] == order.index(name)
        columns = dense[at].T
        binned = [np.where(np.isnan(c), 0, 1 + np.searchsorted(cut, c)) for c, cut in zip(columns, cuts.T, strict=True)]
        splits[name] = Rows(
            dense=dense[at],
            filled=np.nan_to_num((dense[at] - mean) / np.where(std > 0, std, 1)).astype(np.float32),
            bins=np.stack(binned, axis=1).astype(np.int64),
            sparse=sparse[at].astype(np.int64),
            labels=found["labels"][at] if name != "test" else np.zeros((0, 0), np.float32),
            history=found["history"][at] if "history" in found else None,
        )
    texts = {name: [str(each) for each in found[name]] for name in ("tasks", "given", "sparse_names")}
    sizes = [int(size) + 1 for size in sparse.max(axis=0)]
    return Problem(texts["tasks"], texts["given"], texts["sparse_names"], sizes, splits)
