"""The space of texts that text members read: words, letters, and the vectors of one frozen encoder or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array, hstack

from triad.arrays import Ints
from triad.config.tasks import TaskParams
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.features.corpus import corpus
from triad.members.bench import Bench
from triad.tasks import LABELS
from triad.text.bags import Bag
from triad.text.beside import Beside
from triad.text.vectors import Vectors
from triad.texts import Texts

TEXT = "text"
"""The array of a unit that holds what its rows say, masked and in plain form."""


def text_tasks(data: Dataset, tasks: Mapping[str, TaskParams]) -> list[str]:
    """Tasks whose rows are texts."""
    units = {name for name, unit in UNITS.items() if TEXT in {each.name for each in fields(unit.arrays)}}
    return [name for name, task in tasks.items() if LABELS[task.label].unit in units & set(data.units)]


class Space(Protocol):
    """Where a row of a unit lies."""

    @classmethod
    def fit(cls, bench: Bench, kinds: Sequence[str], *, with_vectors: bool = True) -> Space:
        """Of train rows."""

    def tasks(self, data: Dataset, tasks: Mapping[str, TaskParams]) -> list[str]:
        """Those of `tasks` whose rows lie in it."""

    def matrix(self, data: Dataset, task: str, rows: Ints) -> csr_array:
        """(n, columns) of `rows` of the task's unit."""

    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Space: ...


@dataclass(frozen=True)
class TextSpace:
    """Where a text lies."""

    bag: Bag
    vectors: Vectors | None
    beside: Beside | None = None

    @classmethod
    def fit(cls, bench: Bench, kinds: Sequence[str], *, with_vectors: bool = True) -> TextSpace:
        """Of the train rows of all units that hold texts."""
        data, said = bench.data, dict[str, list[str]]()
        for unit in {data.unit_of(task) for task in text_tasks(data, bench.params.tasks)}:
            said[unit] = getattr(data.units[unit], TEXT)[data.rows("train", unit)].tolist()
        texts = [text for unit in sorted(said) for text in said[unit]]
        bag = Bag.fit(texts, kinds)
        if not with_vectors or not texts:
            return cls(bag, None)
        text, whole = bench.params.text, partial(corpus, data)
        return cls(bag, Vectors.chosen(text, whole), Beside.chosen(text, texts, whole))

    def tasks(self, data: Dataset, tasks: Mapping[str, TaskParams]) -> list[str]:
        """Those of texts."""
        return text_tasks(data, tasks)

    def matrix(self, data: Dataset, task: str, rows: Ints) -> csr_array:
        """(n, columns) of `rows` of the task's unit."""
        texts: Texts = getattr(data.units[data.unit_of(task)], TEXT)
        return self.of(texts[np.asarray(rows)].tolist())

    def of(self, texts: Sequence[str]) -> csr_array:
        """(n, columns) of texts in plain form."""
        read = [each.of(texts) for each in (self.vectors, self.beside) if each is not None]
        return csr_array(hstack([self.bag.matrix(texts), *read], format="csr"))

    def save(self, folder: Path) -> None:
        """The bag, and the encoders' files: what serves needs no other place."""
        self.bag.save(folder)
        for each in (self.vectors, self.beside):
            if each is not None:
                each.save(folder)

    @classmethod
    def load(cls, folder: Path) -> TextSpace:
        """What `save` wrote."""
        return cls(Bag.load(folder), Vectors.load(folder), Beside.load(folder))
