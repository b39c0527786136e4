"""What was answered to the messages that a text is nearest to: `nearest_text`. It can name those messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz
from sklearn.metrics import log_loss

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.texts import TextSpace, text_tasks
from triad.texts import Texts

SHARPNESS = (4.0, 8.0, 12.0, 20.0)
"""A text's weight is e^(sharpness · cosine), and a class's chance its share of weight: values tried on validation."""
FEW = 0.02
"""Of each row's weight that is shared by all classes."""
_AT_ONCE = 2_000_000  # cells of cosines
MEMBERS = Recipe("nearest_text", "NearestText", ("RowScorer", "Sourced"), reads=("tasks", "text"))


@dataclass(frozen=True)
class Known:
    """(n,) labelled texts of a task."""

    key: Texts
    label: Ints
    matrix: csr_array  # (n, columns) rows of length 1
    classes: int
    sharpness: float


@dataclass(frozen=True)
class NearestText:
    """Known texts of each task, in one space."""

    space: TextSpace
    known: dict[str, Known]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.known)

    @classmethod
    def make(cls, bench: Bench, name: str) -> NearestText:
        """Of train, its sharpness chosen on validation."""
        return cls._fit(bench, {})

    def refit(self, bench: Bench, name: str) -> NearestText:
        """Of all days, with the sharpness that was chosen."""
        return self._fit(bench, {task: known.sharpness for task, known in self.known.items()})

    @classmethod
    def _fit(cls, bench: Bench, chosen: dict[str, float]) -> NearestText:
        data, tasks = bench.data, bench.params.tasks
        space, known = TextSpace.fit(bench, ("words", "letters")), {}
        for name in text_tasks(data, tasks):
            if not KINDS[tasks[name].kind].has_classes:
                continue
            rows, label = labelled(data, name, "train", both=True)
            unit = data.unit_of(name)
            key = getattr(data.units[unit], str(UNITS[unit].key))[rows]
            parts = key, label.astype(np.int64), _unit_rows(space.matrix(data, name, rows))
            classes = len(data.meta.classes.get(name, ()))
            if name not in chosen:
                later, later_label = labelled(data, name, "validation")
                held = _unit_rows(space.matrix(data, name, later))
                tried = [_shares(Known(*parts, classes, each), held) for each in SHARPNESS]
                losses = [log_loss(later_label, each, labels=range(classes)) for each in tried]
                chosen = {**chosen, name: SHARPNESS[int(np.argmin(losses))]}
            known[name] = Known(*parts, classes, chosen[name])
        return cls(space, known)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        wanted = {task: known for task, known in self.known.items() if tasks is None or task in tasks}
        return {task: _shares(known, _unit_rows(self.space.matrix(data, task, rows))) for task, known in wanted.items()}

    def sources(self, data: Dataset, rows: Ints, task: str, chosen: Ints) -> list[str | None]:
        """(n,) key of the nearest known text of each row's `chosen` class; None where the class has none."""
        known = self.known[task]
        cosine = (_unit_rows(self.space.matrix(data, task, rows)) @ known.matrix.T).toarray()
        cosine[known.label[None, :] != np.asarray(chosen)[:, None]] = -1.0
        best = cosine.argmax(axis=1)
        there = cosine[np.arange(len(best)), best] >= 0
        return [key if is_there else None for key, is_there in zip(known.key[best], there, strict=True)]

    def save(self, folder: Path) -> None:
        """The space; of each task its keys, labels and rows. Texts are not kept."""
        folder.mkdir(parents=True, exist_ok=True)
        self.space.save(folder / "space")
        for task, known in self.known.items():
            known.key.save(folder / f"key_{task}.arrow")
            np.save(folder / f"label_{task}.npy", known.label, allow_pickle=False)
            save_npz(folder / f"matrix_{task}.npz", known.matrix)
        write_json(
            folder / "known.json", {task: [known.classes, known.sharpness] for task, known in self.known.items()}
        )

    @classmethod
    def load(cls, folder: Path) -> NearestText:
        """What `save` wrote."""
        known = {
            task: Known(
                Texts.load(folder / f"key_{task}.arrow"),
                np.load(folder / f"label_{task}.npy", allow_pickle=False),
                csr_array(load_npz(folder / f"matrix_{task}.npz")),
                *numbers,
            )
            for task, numbers in read_json(folder / "known.json").items()
        }
        return cls(TextSpace.load(folder / "space"), known)


def _unit_rows(matrix: csr_array) -> csr_array:
    from sklearn.preprocessing import normalize

    return csr_array(normalize(matrix))


def _shares(known: Known, matrix: csr_array) -> Floats:
    """(n, classes) of rows of length 1."""
    one_hot = np.eye(known.classes)[known.label]
    scores = np.zeros((matrix.shape[0], known.classes))
    step = max(1, _AT_ONCE // max(len(known.label), 1))
    for start in range(0, len(scores), step):
        weight = np.exp(known.sharpness * (matrix[start : start + step] @ known.matrix.T).toarray())
        scores[start : start + step] = weight @ one_hot / weight.sum(axis=1, keepdims=True)
    return (1 - FEW) * scores + FEW / known.classes
