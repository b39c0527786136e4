"""What a product's coming days will be, without learning: as four weeks ago (`same_season`), or as usual (`smoothed`).

"No change" is a move of 0, the naive answer beside every figure. Exponential smoothing by product is what few beat
(Makridakis et al., "The M5 accuracy competition", 2022).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.members.bench import Bench

UNIT = "product_days"
MEMBERS = (
    Recipe("same_season", "AsBefore", ("RowScorer",), answers="product_days"),
    Recipe("smoothed", "AsBefore", ("RowScorer",), answers="product_days"),
)
_ARRAYS = {"same_season": "season", "smoothed": "smoothed"}


@dataclass(frozen=True)
class AsBefore:
    """The answers lie in the rows."""

    array: str
    tasks: tuple[str, ...]

    @classmethod
    def make(cls, bench: Bench, name: str) -> AsBefore:
        """Of all tasks of the unit."""
        return cls(_ARRAYS[name], bench.data.meta.tasks.get(UNIT, ()))

    def refit(self, bench: Bench, name: str) -> AsBefore:
        """Nothing is learned."""
        return self

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n,) moves."""
        wanted = [task for task in self.tasks if tasks is None or task in tasks]
        names = data.meta.tasks.get(UNIT, ())
        return {
            task: np.asarray(getattr(data.units[UNIT], self.array)[rows, names.index(task)], np.float64)
            for task in wanted
        }

    def save(self, folder: Path) -> None:
        """Names alone."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "plain.json", {"array": self.array, "tasks": list(self.tasks)})

    @classmethod
    def load(cls, folder: Path) -> AsBefore:
        """What `save` wrote."""
        held = read_json(folder / "plain.json")
        return cls(held["array"], tuple(held["tasks"]))
