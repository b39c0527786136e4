"""A summary of a night's examples, in numbers that a person can check."""

from __future__ import annotations

from typing import Any

import numpy as np

from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS


def summarise(data: Dataset, shared_rows: int) -> dict[str, Any]:
    """Rows and labels a split, and the share of interactions whose item has none of the rows after `shared_rows`."""
    shared = np.asarray(data.items.vocabulary_row) <= shared_rows
    split = np.asarray(data.streams.split)
    return {
        "rows": {name: len(data.rows(name)) for name in SPLITS} | {"left_out": int((data.exposures.split < 0).sum())},
        "questions": {name: len(data.rows(name, "lists")) for name in SPLITS[1:]},
        "labels": {
            task: {name: _label(data, task, name) for name in SPLITS}
            for names in data.meta.tasks.values()
            for task in names
        },
        "oov_rate": {name: _share(shared[data.streams.item[split == place]]) for place, name in enumerate(SPLITS)},
        "new_user_rows": {name: _share(data.exposures.is_new_user[data.rows(name)]) for name in SPLITS},
        "cold_item_rows": {name: _share(data.exposures.is_cold_item[data.rows(name)]) for name in SPLITS},
    }


def _label(data: Dataset, task: str, split: str) -> dict[str, Any]:
    label = data.labels(task)[data.rows(split, data.unit_of(task))]
    label = label[np.isfinite(label)]
    if task in data.meta.classes:
        counts = np.bincount(label.astype(np.int64), minlength=len(data.meta.classes[task]))
        return {"rows": len(label), "classes": dict(zip(data.meta.classes[task], counts.tolist(), strict=True))}
    return {"rows": len(label), "mean": round(float(label.mean()), 6) if len(label) else None}


def _share(values: np.ndarray) -> float | None:
    return round(float(np.mean(values)), 6) if len(values) else None
