"""What a member can do: small protocols. A member answers at least one of them, and can be saved and loaded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from triad.arrays import Bools, Floats, Ints
from triad.examples.dataset import Dataset

if TYPE_CHECKING:
    from triad.members.bench import Bench
    from triad.search.retrieval import Found


@runtime_checkable
class Member(Protocol):
    """A fitted model. `isinstance` with the protocols below says what it answers."""

    def refit(self, bench: Bench, name: str) -> Member:
        """The member `name` fitted on all days of `bench`, with what this one chose: they choose nothing anew."""

    def save(self, folder: Path) -> None:
        """Write all that `load` needs into `folder`."""

    @classmethod
    def load(cls, folder: Path) -> Member:
        """The member that `save` wrote."""


@runtime_checkable
class RowScorer(Protocol):
    """Scores rows of a unit of examples."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it scores."""

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Scores of `rows`, shaped as each task's kind has them: (n, *shape).

        Of `tasks`, which are of one unit, those that it scores; of None, all. What only others need is not computed.
        """


@runtime_checkable
class Retriever(Protocol):
    """Ranks candidates: the items of the catalogue."""

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probability of the next item, rows summing to 1, after each user's first `history` steps."""


@runtime_checkable
class Generator(Protocol):
    """Writes text."""

    def generate(self, data: Dataset, rows: Ints, unit: str) -> list[str]:
        """(n,) a text for each of a unit's `rows`."""


@runtime_checkable
class Sourced(Protocol):
    """Names what an answer rests on."""

    def sources(self, data: Dataset, rows: Ints, task: str, chosen: Ints) -> list[str | None]:
        """(n,) key of the row learned from that speaks most for the class `chosen` (n,); None: none does."""


@runtime_checkable
class Searcher(Protocol):
    """Finds products for what is typed."""

    def search(self, data: Dataset, queries: Sequence[str], count: int, allowed: Bools | None = None) -> list[Found]:
        """What may answer each of `queries`, at least `count` products where so many match; `predict` orders them.

        Args:
            allowed: (n_items,) what is looked for; None: everything.
        """


@runtime_checkable
class Keeper(Protocol):
    """Prepares for many questions. Only of a member that learns no more."""

    def keep(self, data: Dataset) -> None:
        """Compute once what all questions on the catalogue of `data` share."""


@runtime_checkable
class Explaining(Protocol):
    """Says what a number of a product rests on."""

    def comparables(self, data: Dataset, rows: Ints, task: str, count: int) -> list[list[tuple[str, float, float]]]:
        """(n,) key, label and likeness of at most `count` products that it learned from, the likest first."""

    def drivers(self, data: Dataset, rows: Ints, task: str) -> list[dict[str, float]]:
        """(n,) what moved the score, in words, and by how much, the largest first."""


PROTOCOLS: dict[str, type] = {
    each.__name__: each for each in (RowScorer, Retriever, Generator, Sourced, Searcher, Explaining)
}
EVIDENT = ("Sourced", "Explaining")
"""Protocols of members that serve even without a weight: they say what an answer rests on."""
