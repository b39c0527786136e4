"""Logistic regression on a text's words, letters and vector: `text_linear`. On its words alone: `bag_of_words`, the
plain rival.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.texts import Space, TextSpace

STRENGTHS = (1.0, 3.0, 10.0, 30.0)
"""Inverse penalties tried; each task keeps the one with the least validation loss."""
SAMPLE = 4_000
"""Rows of train, at most, that strengths are tried on."""
MOST_CLASSES = 300
"""More are left to the member that compares texts."""
MEMBERS = (
    Recipe("text_linear", "TextLinear", ("RowScorer",), reads=("tasks", "text")),
    Recipe("bag_of_words", "BagOfWords", ("RowScorer",)),
)


@dataclass(frozen=True)
class TextLinear:
    """Coefficients of each task, in one space of texts."""

    kinds: ClassVar[Sequence[str]] = ("words", "letters")
    reads_vectors: ClassVar[bool] = True
    strengths: ClassVar[Sequence[float]] = STRENGTHS
    space_of: ClassVar[type[Space]] = TextSpace

    space: Space
    weights: dict[str, Floats]  # task → (columns + 1, classes), the last row the intercept
    chosen: dict[str, float]  # task → inverse penalty

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.weights)

    @classmethod
    def make(cls, bench: Bench, name: str) -> TextLinear:
        """Fitted on train, its penalty chosen on validation."""
        space = cls.space_of.fit(bench, cls.kinds, with_vectors=cls.reads_vectors)
        return cls.fit(bench.data, bench.params.tasks, space)

    def refit(self, bench: Bench, name: str) -> TextLinear:
        """Anew on all days, with the penalty that was chosen."""
        space = self.space_of.fit(bench, self.kinds, with_vectors=self.reads_vectors)
        return self.fit(bench.data, bench.params.tasks, space, self.chosen)

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(
        cls,
        data: Dataset,
        tasks: Mapping[str, TaskParams],
        space: Space,
        strengths: Mapping[str, float] | None = None,
    ) -> Any:
        """Args:
        strengths: task → inverse penalty, where it was chosen before.
        """
        weights, chosen = {}, dict(strengths or {})
        for name in space.tasks(data, tasks):
            classes = len(data.meta.classes.get(name, ()))
            if not KINDS[tasks[name].kind].has_classes or classes > MOST_CLASSES:
                continue
            rows, label = labelled(data, name, "train", both=True)
            matrix = space.matrix(data, name, rows)
            if name not in chosen and len(cls.strengths) > 1:
                part = np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int)
                later, later_label = labelled(data, name, "validation")
                held = space.matrix(data, name, later)
                tried = _path(matrix[part], label[part], cls.strengths, classes)
                losses = [log_loss(later_label, _score(held, each), labels=range(classes)) for each in tried]
                chosen[name], weights[name] = cls.strengths[int(np.argmin(losses))], tried[int(np.argmin(losses))]
            chosen.setdefault(name, cls.strengths[0])
            if name not in weights or len(rows) > SAMPLE:
                (weights[name],) = _path(matrix, label, [chosen[name]], classes)
        return cls(space, weights, chosen)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        wanted = [task for task in self.weights if tasks is None or task in tasks]
        return {task: _score(self.space.matrix(data, task, rows), self.weights[task]) for task in wanted}

    def save(self, folder: Path) -> None:
        """The space, an array a task, and what was chosen."""
        folder.mkdir(parents=True, exist_ok=True)
        self.space.save(folder / "space")
        for task, values in self.weights.items():
            np.save(folder / f"task_{task}.npy", values.astype(np.float32), allow_pickle=False)
        write_json(folder / "chosen.json", {"tasks": list(self.weights), "strengths": self.chosen})

    @classmethod
    def load(cls, folder: Path) -> TextLinear:
        """What `save` wrote."""
        meaning = read_json(folder / "chosen.json")
        weights = {name: np.load(folder / f"task_{name}.npy", allow_pickle=False) for name in meaning["tasks"]}
        return cls(cls.space_of.load(folder / "space"), weights, meaning["strengths"])


class BagOfWords(TextLinear):
    """Words alone, and no penalty is looked for."""

    kinds, reads_vectors, strengths = ("words",), False, (1.0,)


def _path(matrix: csr_array, label: Floats, strengths: Sequence[float], classes: int) -> list[Floats]:
    """(columns + 1, classes) for each of the rising `strengths`, which start from one another.

    A class that no row has is as unlikely as a weight of −20 makes it.
    """
    model, fitted = LogisticRegression(max_iter=500, tol=1e-3, warm_start=True), []
    for strength in strengths:
        model.set_params(C=strength).fit(matrix, label)
        coefficients, intercept = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            coefficients, intercept = np.r_[-coefficients, coefficients] / 2, np.r_[-intercept, intercept] / 2
        weights = np.zeros((matrix.shape[1] + 1, classes))
        weights[-1] = intercept.min() - 20
        place = model.classes_.astype(int)
        weights[:-1, place], weights[-1, place] = coefficients.T, intercept
        fitted.append(weights)
    return fitted


def _score(matrix: csr_array, weights: Floats) -> Floats:
    one = csr_array(np.ones((matrix.shape[0], 1)))
    return np.asarray(softmax(hstack([matrix, one], format="csr") @ weights, axis=1))
