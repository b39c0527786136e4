"""A unit of examples: what one row is, and how rows are made, for training and for serving alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import duckdb

    from triad.arrays import Bools, Ints
    from triad.examples.dataset import Dataset
    from triad.features.source import Source


@dataclass(frozen=True)
class Made:
    """A unit's arrays, with what follows from them."""

    arrays: Any
    learned: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able: what serving needs to make later rows in the same terms."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Meta`."""


A_FOLD = "of a fold by id, from which no model learned"
"""`Unit.judged` where rows have no one day."""


class Unit(Protocol):
    """What code elsewhere asks of a unit."""

    name: str
    arrays: type
    """A frozen dataclass of arrays. Its `split` (n,) is each row's place in SPLITS, -1 where it is left out. A unit
    whose rows are labelled has `labels` (n, tasks), the columns as `Meta.tasks` names them, and for each label's
    `cluster` an array (n,) of that name. A `history` (n,) counts the interactions before a row."""
    key: str | None
    """The array of ids by which another model finds the same rows; None where no row is labelled."""
    always: bool
    """Whether it is made though no task asks for it, because members read it."""
    tables: tuple[str, ...]
    """What must be given, beyond users, items and events."""
    is_shared: bool = True
    """Whether networks learn its tasks though `finetune.tasks` names none."""
    judged: str = "in the test window"
    """Where the rows lie that a report's figures are of, in a merchant's words."""
    inputs: tuple[str, ...]
    """What a network reads of a row, in order: `history`, `item` and `user` stand for arrays of these names that point
    into streams, catalogue and users; all others are names of encoders, whose arrays the unit holds itself."""

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        """The texts in `column`, "" where there is none: classes are named after them."""

    def slices(self, data: Dataset, rows: Ints) -> Sequence[tuple[str, str, Bools]]:
        """Parts of `rows` that mean something: group, name, and which rows; of exposures `evaluation.window` says."""
        return ()

    def make(self, source: Source) -> Made:
        """The rows of a night's tables. `source.learned(name)` is empty while the state is fitted."""
