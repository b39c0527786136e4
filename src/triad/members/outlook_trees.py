"""The member `outlook_trees`: LightGBM on what is known of a product at the beginning of a day.

It learns the median: of the move, or of the level that the move leads to, whichever is nearer on the validation days.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import ORDER, lightgbm
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.bench import Bench
from triad.members.labelled import labelled

UNIT = "product_days"
MEMBERS = Recipe("outlook_trees", "OutlookTrees", ("RowScorer",), answers="product_days")
TREES = (0, 25, 50, 100, 200)
"""0: no change."""
SETTINGS: dict[str, Any] = {
    "objective": "regression_l1",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "force_row_wise": True,
}
_DIAL = "fuse.members", "a list without outlook_trees"


@dataclass(frozen=True)
class Grown:
    """Of one task: trees, how many of them answer, and whether they tell the level."""

    booster: Any
    trees: int
    tells_level: bool

    @classmethod
    def fit(cls, known: Floats, now: Floats, move: Floats, *, tells_level: bool, seed: int = 1) -> Grown:
        """All trees, of rows whose move is known."""
        library = lightgbm(*_DIAL)
        examples = library.Dataset(known, move + now if tells_level else move)
        booster = library.train({**ORDER, **SETTINGS, "seed": seed, "num_iterations": max(TREES)}, examples)
        return cls(booster, max(TREES), tells_level)

    def score(self, known: Floats, now: Floats, trees: int | None = None) -> Floats:
        """(n,) moves."""
        count = self.trees if trees is None else trees
        if not count or not len(known):
            return np.zeros(len(known))
        told = np.asarray(self.booster.predict(known, num_iteration=count))
        return told - now if self.tells_level else told


@dataclass(frozen=True)
class OutlookTrees:
    """`Grown` of each task."""

    held: dict[str, Grown]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.held)

    @classmethod
    def make(cls, bench: Bench, name: str) -> OutlookTrees:
        """Of train, what they tell and their number chosen on validation."""
        held = {}
        for task in bench.data.meta.tasks.get(UNIT, ()):
            known, now, move = _lesson(bench.data, task, "validation")
            lesson = _lesson(bench.data, task, "train")
            tried = [Grown.fit(*lesson, tells_level=level) for level in (False, True)]
            missed = {
                (place, trees): float(np.abs(one.score(known, now, trees) - move).mean())
                for place, one in enumerate(tried)
                for trees in TREES
            }
            place, trees = min(missed, key=missed.__getitem__)
            held[task] = Grown(tried[place].booster, trees, tried[place].tells_level)
        return cls(held)

    def refit(self, bench: Bench, name: str) -> OutlookTrees:
        """Of all days, with what was chosen."""
        held = {}
        for task, one in self.held.items():
            grown = Grown.fit(*_lesson(bench.data, task, "train"), tells_level=one.tells_level)
            held[task] = Grown(grown.booster, one.trees, one.tells_level)
        return OutlookTrees(held)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n,) moves."""
        wanted = [task for task in self.held if tasks is None or task in tasks]
        return {task: self.held[task].score(*_columns(data, task, rows)) for task in wanted}

    def save(self, folder: Path) -> None:
        """The trees as LightGBM's text."""
        folder.mkdir(parents=True, exist_ok=True)
        for task, one in self.held.items():
            (folder / f"{task}.txt").write_text(one.booster.model_to_string(), encoding="utf-8")
        chosen = {task: {"trees": one.trees, "tells_level": one.tells_level} for task, one in self.held.items()}
        write_json(folder / "chosen.json", chosen)

    @classmethod
    def load(cls, folder: Path) -> OutlookTrees:
        """What `save` wrote."""
        library, held = lightgbm(*_DIAL), {}
        for task, chosen in read_json(folder / "chosen.json").items():
            text = (folder / f"{task}.txt").read_text(encoding="utf-8")
            held[task] = Grown(library.Booster(model_str=text), **chosen)
        return cls(held)


def _columns(data: Dataset, task: str, rows: Ints) -> tuple[Floats, Floats]:
    """(n, columns) what is known, and (n,) what is now."""
    held, place = data.units[UNIT], data.meta.tasks[UNIT].index(task)
    plain = [np.asarray(array[rows, place], np.float64) for array in (held.now, held.season, held.smoothed)]
    return np.column_stack([held.known[rows], *plain]), plain[0]


def _lesson(data: Dataset, task: str, split: str) -> tuple[Floats, Floats, Floats]:
    rows, move = labelled(data, task, split)
    return *_columns(data, task, rows), move
