"""What an evaluation leaves besides its figures and its page: the verdict, the fused scores, the plots' tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from triad.evaluation.assess import CHAMPION, NAIVE, TaskResult
from triad.evaluation.figures import Rows
from triad.evaluation.gate import Verdict
from triad.evaluation.window import Scored, Window
from triad.examples.dataset import Dataset


def verdict_json(
    verdict: Verdict,
    results: Mapping[str, TaskResult],
    metrics: Mapping[str, Any],
    *,
    champion: str | None,
    experiment: str | None,
    k: int,
) -> dict[str, Any]:
    """The gate's verdict with what it rests on; `champion` is the version that serves."""
    against = NAIVE if champion is None else CHAMPION
    lacking = [name for name, r in results.items() if champion is not None and CHAMPION not in r.models]
    return {
        "verdict": verdict.outcome,
        "champion": champion,
        "experiment": experiment,
        "harms": list(verdict.harms),
        "doubts": list(verdict.doubts),
        "gains": list(verdict.gains),
        "notes": [f"The champion does not do {name}: nothing to compare." for name in lacking],
        "reasons": [*verdict.harms, *verdict.doubts, *verdict.gains],
        "order": list(results),  # of the tasks as configured: JSON here is sorted by key
        "tasks": {
            name: {
                "gated": result.task.gated,
                "metric": result.primary,
                "k": k,
                "against": against,
                "difference": metrics[name].get(f"gain_over_{against}"),
            }
            for name, result in results.items()
        },
    }


def score_table(data: Dataset, window: Window, fused: Scored) -> pa.Table:
    """event_id and fused score a task (a column a class where there are classes) of the test rows."""
    columns: dict[str, Any] = {"event_id": pa.array(data.exposures.event_id[window.rows], pa.string())}
    own = {task: scores for task, scores in fused.tasks.items() if task in data.meta.tasks["exposures"]}
    for task, scores in own.items():
        for place, name in enumerate(data.meta.classes.get(task, ())):
            columns[f"{task}_{name}"] = np.asarray(scores)[:, place]
        if task not in data.meta.classes:
            columns[task] = np.asarray(scores)
    return pa.table(columns)


def write_csv(path: Path, rows: Rows) -> None:
    """Rows of the same keys, under a head; an empty file where there are none."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        if rows:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
