"""What a label is: of which rows, from which tables, how its values are made, and how people are told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from triad.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import duckdb

    from triad.config.tasks import TaskParams

Entity = Literal["user", "item"]
Slice = Literal["users", "items", "category", "market", "surface"]
EVERY_SLICE: tuple[Slice, ...] = get_args(Slice)
Part = Literal["user", "taste", "item", "pair", "context", "odds"]
"""Of the table that trees read: what was before of the user and the item, their match, what `context` says of the row,
and the odds that the user's steps give (`fusion/encodings.py`)."""


class Rows(Protocol):
    """The exposures that a label is made for, and what the tables say of the time after them. (n,) each.

    They are a part of all: every row of some users. Parts are labelled one at a time, the last users first, and the
    methods here know of the others: `once` finds the last row of an item among all of them.
    """

    @property
    def session(self) -> duckdb.DuckDBPyConnection:
        """The tables, for a query that no method here answers; `exposure` and `activity` among them, of all users."""

    @property
    def user(self) -> Ints: ...
    @property
    def item(self) -> Ints: ...
    @property
    def day(self) -> Ints:
        """Whole UTC days since the epoch."""

    @property
    def split(self) -> Ints:
        """Place in SPLITS, -1 where the row is left out."""

    @property
    def in_train(self) -> Bools: ...
    @property
    def in_fold(self) -> Bools:
        """Whether the row's split is the one that may show its user's own attributes."""

    def followed(self, events: Sequence[str]) -> Floats:
        """1 where `events` follow one another within `attribution_hours`, else 0; NaN where that is not yet known."""

    def following(self, of: Entity, event: str, amount: str, days: int) -> Floats:
        """Sum of the SQL expression `amount` over the entity's events on the `days` after the exposure's day."""

    def known_after(self, days: int) -> Bools:
        """Whether the `days` after the exposure's day end inside its split."""

    def log_price(self, days: int) -> Floats:
        """Log of the item's price `days` after the exposure's day, NaN where unknown."""

    def of_users(self, column: str, classes: Sequence[str]) -> Ints:
        """Place in `classes` of the user's value of a column of users, -1 where it is none of them."""

    def once(self, of: Entity, values: Floats | Ints, where: Bools, *, unit: Ints | None = None) -> Floats:
        """`values` on the last row of each entity and `unit` (day) of those `where` it may stand; NaN on others."""


Make = Callable[[str, "Mapping[str, TaskParams]", Rows, Sequence[str]], Floats]
"""(n,) values of the task called so, NaN where missing; a class by its place in the names of the last argument."""


@dataclass(frozen=True)
class Needs:
    """What a task's tables must hold."""

    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    """Of users, beyond the contract's."""
    events: tuple[str, ...] = ()
    """Kinds of event."""
    shown: bool = False
    """Whether it tells what was taken of what was shown: impressions, or sampled items in their place."""


@dataclass(frozen=True)
class Truth:
    """Where a simulated shop tells the true probabilities or medians: columns of one of the oracle's tables."""

    table: str
    key: tuple[str, ...]
    """What names a row: the unit's own key, of exposures `user_id`, `item_id` and `day`, of searches `query`."""
    columns: tuple[str, ...]
    """One, or one a class."""


class Label(Protocol):
    """What a task predicts. Code elsewhere asks it and never compares its name."""

    name: str
    kinds: tuple[str, ...]
    """Kinds of answer it may have."""
    unit: str
    """The unit of examples that its rows are."""
    options: tuple[str, ...]
    """Keys of a task that it reads: `column`, `horizon_days`."""
    chains: bool = False
    """Whether a task of it may be `given` another of the same file: it is then true only where both happened."""
    step: str | None = None
    """The kind of event that it predicts after an exposure."""
    make: Make | None
    """How values are made of the tables; None where its unit's rows already hold them."""

    cluster: str
    """The array of its unit, of what rows of one are not independent of: whose rows the bootstrap draws together."""
    slices: tuple[Slice, ...]
    """Parts of the test window that mean something. A row stands for what its label is about; it is arbitrary of the
    rest."""
    reads: tuple[Part, ...]
    """Parts of their table that trees read."""
    naive: float | None = None
    """What to answer without learning, where that is not the constant of the kind."""
    covers: float | None = None
    """How often the interval that goes with its prediction holds the truth; None: it has no interval."""
    calibrates: tuple[str, ...] = ("fusion",)
    """Splits whose rows that interval is fitted on. No member learned of them."""
    cases: str = "customers"
    """What its rows are about, in a merchant's words."""
    question: str
    """What a task answers, in a merchant's words; {days} and {column} stand for its options."""

    def needs(self, task: TaskParams) -> Needs:
        """Checked before any work."""
        return Needs()

    def classes(self, task: TaskParams, values: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        """Names of the classes of a multiclass task, from the `values` of a column of users."""
        return ()

    def called(self, name: str) -> str:
        """What a class means, in words that its name holds; nothing where its name is no more than a code."""
        return ""

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth | None:
        """What the simulated shop knows of it; None: nothing."""
        return None

    def miss(self, value: float) -> str:
        """What an average miss of `value` means, to follow the figure in a sentence."""
        return ""


@runtime_checkable
class Outlook(Label, Protocol):
    """A label of how a product's coming days differ from those before. "No change" is a move of 0."""

    def plain(self, task: TaskParams, rows: Any) -> tuple[Floats, Floats, Floats]:
        """(n,) log of what is now, NaN where unknown; the moves to what was four weeks ago and to what is usual."""

    def level(self, moved: Floats) -> Floats:
        """What a log of `plain` and a move make together: units, or cents."""
