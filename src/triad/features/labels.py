"""The exposures that labels are made for (`tasks.base.Rows`). A missing label is NaN."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import duckdb
import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.tasks import TaskParams
from triad.features import entities
from triad.features.aggregates import daily
from triad.features.dataset import SPLITS
from triad.features.log import Log
from triad.features.prices import PriceGrid
from triad.features.splits import Windows, ends_inside
from triad.features.sql import DAY, HOUR, nan
from triad.features.state import State
from triad.schema import EVENT_KINDS
from triad.tasks import LABELS
from triad.tasks.base import Entity


class Shared:
    """What the parts of a log share while their labels are made, from the last part to the first."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}
        self._later: dict[int, Ints] = {}

    def made(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` answers, asked once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def first(self, call: int, entity: Ints, unit: Ints) -> Bools:
        """(n,) whether that call of `once` met none of these (entity, unit), each once here, in a later part."""
        if len(unit) and not -(2**31) <= unit.min() <= unit.max() < 2**31:
            raise ValueError("a unit of `once` is beyond 32 bits")
        key = entity.astype(np.int64) << 32 | unit.astype(np.int64) & 0xFFFFFFFF
        later = self._later.get(call, np.zeros(0, np.int64))
        place = np.searchsorted(later, key)
        fresh = np.r_[later, -1][place] != key
        merged = np.concatenate([later, np.sort(key[fresh])])
        merged.sort(kind="stable")  # which merges what is sorted
        self._later[call] = merged
        return np.asarray(fresh)


@dataclass(frozen=True)
class LabelRows:
    """A part's exposures, (n,) each: catalogue rows, µs, and place in SPLITS or -1. All of a user's are in one part."""

    session: duckdb.DuckDBPyConnection
    user: Ints
    item: Ints
    time: Ints
    split: Ints
    fold: Ints  # (n_users,) split that may show the user's own attributes
    windows: Windows
    hours: int  # within which an event is an exposure's own
    known_until: int  # µs
    grid: PriceGrid
    log: Log
    begin: int = 0  # the part's first row among all exposures
    shared: Shared = field(default_factory=Shared)
    _calls: Iterator[int] = field(default_factory=count)

    @property
    def day(self) -> Ints:
        return self.time // DAY

    @property
    def in_train(self) -> Bools:
        return np.asarray(self.split == SPLITS.index("train"))

    @property
    def in_fold(self) -> Bools:
        return np.asarray(self.split == self.fold[self.user])

    def followed(self, events: Sequence[str]) -> Floats:
        kinds = tuple(EVENT_KINDS.index(event) for event in events)
        rows = self.shared.made(("followed", kinds), lambda: self.log.reached(kinds, self.hours * HOUR))
        own = rows[slice(*np.searchsorted(rows, (self.begin, self.begin + len(self.time))))]
        label = np.zeros(len(self.time), np.float32)
        label[own - self.begin] = 1
        label[(self.time > self.known_until - self.hours * HOUR) & (label == 0)] = np.nan
        return label

    def following(self, of: Entity, event: str, amount: str, days: int) -> Floats:
        source = f"(SELECT * FROM activity WHERE kind = {EVENT_KINDS.index(event)})"
        sums = self.shared.made(
            ("following", of, event, amount),
            lambda: daily(self.session, source, f"{of}_no", {"amount": amount}),
        )
        return sums.between("amount", getattr(self, of), self.day + 1, self.day + 1 + days)

    def known_after(self, days: int) -> Bools:
        return ends_inside(self.day * DAY, self.split, (days + 1) * DAY, self.windows)

    def log_price(self, days: int) -> Floats:
        return self.grid.log_price(self.item, self.day + days)

    def of_users(self, column: str, classes: Sequence[str]) -> Ints:
        def places() -> Ints:
            place = {name: place for place, name in enumerate(classes)}
            return np.array([place.get(value, -1) for value in entities.user_values(self.session, column)], np.int64)

        values: Ints = self.shared.made(("of_users", column, tuple(classes)), places)
        return values[self.user]

    def once(self, of: Entity, values: Floats | Ints, where: Bools, *, unit: Ints | None = None) -> Floats:
        entity, unit = getattr(self, of), self.day if unit is None else unit
        rows = last_of(entity, unit, where)
        if of != "user":
            rows = rows[self.shared.first(next(self._calls), entity[rows], unit[rows])]
        label = nan(len(values))
        label[rows] = values[rows]
        return label


def values_of(unit: str, rows: Any, count: int, state: State) -> Floats:
    """(count, tasks) labels of the unit's tasks, NaN where missing. `rows` is what its labels' `make` read."""
    names = state.meta.tasks[unit]
    values = np.full((count, len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        make = LABELS[state.tasks[name].label].make
        assert make is not None, name  # `check_tables` refused it
        values[:, column] = make(name, state.tasks, rows, state.meta.classes.get(name, ()))
    return values


def predicted(tasks: Mapping[str, TaskParams]) -> tuple[int, ...]:
    """Kinds of event that tasks predict."""
    steps = {LABELS[task.label].step for task in tasks.values()}
    return tuple(sorted(EVENT_KINDS.index(step) for step in steps if step is not None))


def last_of(entity: Ints, unit: Ints, eligible: np.ndarray) -> Ints:
    """Rows that are the last eligible one of their (entity, unit), in row order."""
    rows = np.flatnonzero(eligible)
    rows = rows[np.lexsort((rows, unit[rows], entity[rows]))]
    ends = np.ones(len(rows), bool)
    ends[:-1] = (np.diff(entity[rows]) != 0) | (np.diff(unit[rows]) != 0)
    return np.sort(rows[ends])
