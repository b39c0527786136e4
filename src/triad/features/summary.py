"""A summary of a night's examples, in numbers that a person can check."""

from __future__ import annotations

from typing import Any

import numpy as np

from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.features.dataset import SPLITS
from triad.matrices import in_blocks


def summarise(data: Dataset, shared_rows: int) -> dict[str, Any]:
    """Rows and labels a split, and the share of interactions whose item has none of the rows after `shared_rows`."""
    shared = np.asarray(data.items.vocabulary_row) <= shared_rows
    split = np.asarray(data.streams.split)
    rows, new_users, cold_items = _counts(data.exposures)
    return {
        "rows": {name: rows[place] for place, name in enumerate(SPLITS)} | {"left_out": rows[-1]},
        "questions": {name: len(data.rows(name, "lists")) for name in SPLITS[1:]},
        "labels": {
            task: {name: _label(data, task, name) for name in SPLITS}
            for names in data.meta.tasks.values()
            for task in names
        },
        "oov_rate": {name: _share(shared[data.streams.item[split == place]]) for place, name in enumerate(SPLITS)},
        "new_user_rows": {name: _part(new_users[place], rows[place]) for place, name in enumerate(SPLITS)},
        "cold_item_rows": {name: _part(cold_items[place], rows[place]) for place, name in enumerate(SPLITS)},
    }


def _counts(rows: Exposures) -> list[list[int]]:
    """Of all rows, those of new users and those of cold items, how many lie in each split; last, in none."""
    counts = np.zeros((3, len(SPLITS) + 1), np.int64)
    for _, (split, *marks) in in_blocks(rows.split, rows.is_new_user, rows.is_cold_item):
        for place, counted in enumerate([split, *(split[mark] for mark in marks)]):
            counts[place] += np.bincount(counted % (len(SPLITS) + 1), minlength=len(SPLITS) + 1)
    return [count.tolist() for count in counts]


def _label(data: Dataset, task: str, split: str) -> dict[str, Any]:
    label = data.known_labels(task, split)
    if task in data.meta.classes:
        counts = np.bincount(label.astype(np.int64), minlength=len(data.meta.classes[task]))
        return {"rows": len(label), "classes": dict(zip(data.meta.classes[task], counts.tolist(), strict=True))}
    return {"rows": len(label), "mean": round(float(label.mean()), 6) if len(label) else None}


def _share(values: np.ndarray) -> float | None:
    return _part(int(np.count_nonzero(values)), len(values))


def _part(some: int, of: int) -> float | None:
    return round(some / of, 6) if of else None
