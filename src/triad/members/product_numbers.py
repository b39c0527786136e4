"""What members that answer numbers of products share: their lessons, and that they hold something of each task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.products.space import Said, said
from triad.texts import Texts

UNIT = "products"


@dataclass(frozen=True)
class Lesson:
    """What is known of a task's products in a split."""

    key: Texts
    products: list[Said]
    label: Floats


def asked_numbers(bench: Bench) -> list[str]:
    """Tasks that ask a number of products."""
    names = bench.data.meta.tasks.get(UNIT, ())
    kinds = {name: KINDS[bench.params.tasks[name].kind] for name in names}
    return [name for name, kind in kinds.items() if kind.shape(0) == () and not kind.is_event]


def lesson(data: Dataset, task: str, split: str) -> Lesson:
    """Raises TriadError: none of its products has a label."""
    rows, label = labelled(data, task, split)
    held = data.units[UNIT]
    return Lesson(held.product_id[rows], said(held, rows), label)


def both(data: Dataset, task: str) -> tuple[Lesson, Lesson]:
    """What to learn from, and what to choose by."""
    return lesson(data, task, "train"), lesson(data, task, "validation")


class Guess(Protocol):
    """What answers one task."""

    def score(self, products: Sequence[Said]) -> Floats:
        """(n,) in the label's unit."""

    def save(self, folder: Path) -> None:
        """Write all that `load` needs."""


Held = TypeVar("Held", bound=Guess)


@dataclass(frozen=True)
class PerTask(Generic[Held]):
    """A member that holds something of each task. Its class says what, and how that is fitted."""

    held: dict[str, Held]

    of: ClassVar[Any]
    """The class of what is held."""

    @classmethod
    @abstractmethod
    def fit(cls, data: Dataset, task: str, former: Held | None) -> Held:
        """Of train, with what was chosen for `former`, else with what validation chooses."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.held)

    @classmethod
    def make(cls, bench: Bench, name: str) -> Self:
        """Of train; what there is to choose is chosen on validation."""
        return cls({task: cls.fit(bench.data, task, None) for task in asked_numbers(bench)})

    def refit(self, bench: Bench, name: str) -> Self:
        """Of all days, with what was chosen."""
        return type(self)({task: self.fit(bench.data, task, one) for task, one in self.held.items()})

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """(n,) in the label's unit."""
        wanted = [task for task in self.held if tasks is None or task in tasks]
        products = said(data.units[UNIT], rows) if wanted else []
        return {task: self.held[task].score(products) for task in wanted}

    def save(self, folder: Path) -> None:
        """A folder a task."""
        folder.mkdir(parents=True, exist_ok=True)
        for task, one in self.held.items():
            one.save(folder / task)
        write_json(folder / "tasks.json", list(self.held))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        return cls({task: cls.of.load(folder / task) for task in read_json(folder / "tasks.json")})
