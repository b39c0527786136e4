"""The outcome of a unit and its storage. Reading it needs no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, replacing, write_json


@dataclass(frozen=True)
class Answers:
    """What is known of one task's test rows, and what each model said of them."""

    kind: str
    labels: Floats  # (n,); empty for a ranking
    cluster: Ints  # (n,) who is drawn together: users, for moves of a price items
    scores: dict[str, Floats]  # model → (n,) or (n, classes); of a ranking (n, 4) values of each query's list


@dataclass(frozen=True)
class Outcome:
    """What a unit gives. `facts` are plain: the data's digest, seconds, parameters, losses by epoch, the fusion."""

    tasks: dict[str, Answers]
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """One file of arrays, one of facts."""
        arrays: dict[str, Any] = {}
        for task, answers in self.tasks.items():
            arrays |= {f"{task}/labels": answers.labels, f"{task}/cluster": answers.cluster}
            arrays |= {f"{task}/scores/{model}": scores for model, scores in answers.scores.items()}
        with replacing(folder) as fresh:
            np.savez_compressed(fresh / "answers.npz", **arrays)
            write_json(fresh / "facts.json", self.facts | {"kinds": {t: a.kind for t, a in self.tasks.items()}})

    @classmethod
    def load(cls, folder: Path) -> Outcome:
        """What `save` wrote."""
        facts = read_json(folder / "facts.json")
        with np.load(folder / "answers.npz", allow_pickle=False) as file:
            arrays = dict(file)
        tasks = {}
        for task, kind in facts.pop("kinds").items():
            start = f"{task}/scores/"
            scores = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
            tasks[task] = Answers(kind, arrays[f"{task}/labels"], arrays[f"{task}/cluster"], scores)
        return cls(tasks, facts)
