"""How the rows of a table are split into train, validation, fusion and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from triad.arrays import Floats, Ints
from triad.config.base import Section
from triad.datasets.columns import Columns
from triad.errors import TriadError
from triad.features.dataset import SPLITS
from triad.texts import Texts

TEST = SPLITS.index("test")


@dataclass(frozen=True)
class Rows:
    """What rows are dealt by."""

    table: Columns
    user: NDArray[np.object_]  # (rows,)
    time: Ints  # (rows,)

    def chance(self, seed: int) -> Floats:
        """(rows,) a number in [0, 1), the same for all rows of a user."""
        names, inverse = Texts.of(self.user).codes()
        return chance(names, seed)[inverse]


class Rule(Section):
    """What a rule needs of a table: most need nothing."""

    by_row: ClassVar[bool] = False
    by_time: ClassVar[bool] = False

    @property
    def named(self) -> tuple[str, ...]:
        """Files."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that no other key names."""
        return ()


class ByModulo(Rule):
    """By row number in file order: its remainder says which; of `held`, every second row is fusion."""

    by_row = True
    rule: Literal["modulo"] = "modulo"
    modulo: int = Field(default=5, ge=2)
    held: tuple[int, ...] = Field(default=(3,), min_length=1, description="remainders of validation and fusion")
    test: tuple[int, ...] = Field(default=(4,), min_length=1, description="remainders of test; the others are train")
    left_out: tuple[int, ...] = Field(default=(), description="remainders of rows neither learned from nor asked")

    @model_validator(mode="after")
    def _parts(self) -> ByModulo:
        taken = (*self.held, *self.test, *self.left_out)
        if len(set(taken)) < len(taken) or not all(0 <= each < self.modulo for each in taken):
            raise ValueError(f"held, test and left_out, {taken}, must be different remainders of {self.modulo}")
        if len(taken) == self.modulo:
            raise ValueError("no remainder is left for train")
        return self

    def deal(self, rows: Rows) -> Ints:
        """(rows,) place in SPLITS, -1 where left out."""
        row = np.arange(rows.table.rows)
        split = np.where(np.isin(row % self.modulo, self.held), 1 + row // self.modulo % 2, 0)
        split[np.isin(row % self.modulo, self.test)] = TEST
        split[np.isin(row % self.modulo, self.left_out)] = -1
        return split


class _Shares(Rule):
    train: float = Field(default=0.6, gt=0, lt=1)
    validation: float = Field(default=0.1, gt=0, lt=1)
    fusion: float = Field(default=0.1, gt=0, lt=1, description="test is what is left")

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Self:
        if self.train + self.validation + self.fusion >= 1:
            raise ValueError("train, validation and fusion leave nothing for test")
        return self

    @property
    def ends(self) -> Floats:
        """Of all but the test."""
        return np.cumsum([self.train, self.validation, self.fusion])


class ByShare(_Shares):
    """At random by user, so that no user is in two splits."""

    rule: Literal["share"]
    seed: int = Field(default=1, ge=0)

    def deal(self, rows: Rows) -> Ints:
        """(rows,) place in SPLITS."""
        return np.searchsorted(self.ends, rows.chance(self.seed), side="right")


class ByTime(_Shares):
    """From the earliest rows to the latest; rows of one time are in one split."""

    by_time = True
    rule: Literal["time"]

    def deal(self, rows: Rows) -> Ints:
        """(rows,) place in SPLITS."""
        starts = np.sort(rows.time)[(self.ends * rows.table.rows).astype(int)]  # of all but train
        return np.searchsorted(starts, rows.time, side="right")


class ByFile(Rule):
    """By the file, of several one below the other, that a row stands in: those not named here are train."""

    rule: Literal["file"]
    test: tuple[str, ...] = Field(min_length=1)
    held: tuple[str, ...] = Field(default=(), description="files whose rows are by turns validation and fusion")
    share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="without such: the users of train, by chance, half validation and half fusion",
    )
    seed: int = Field(default=1, ge=0)

    @property
    def named(self) -> tuple[str, ...]:
        return (*self.test, *self.held)

    def deal(self, rows: Rows) -> Ints:
        """(rows,) place in SPLITS."""
        ends = np.array([1 - self.share, 1 - self.share / 2]) if not self.held else np.ones(2)
        split = np.searchsorted(ends, rows.chance(self.seed), side="right")
        for path in self.held:
            span = rows.table.rows_of[path]
            split[span] = 1 + np.arange(span.stop - span.start) % 2
        for path in self.test:
            split[rows.table.rows_of[path]] = TEST
        return split


class ByColumn(Rule):
    """By what a column says; rows with another value are left out."""

    rule: Literal["column"]
    column: str
    train: str = "train"
    validation: str = "validation"
    fusion: str = "fusion"
    test: str = "test"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def deal(self, rows: Rows) -> Ints:
        """(rows,) place in SPLITS, -1 where left out."""
        texts = rows.table.texts(self.column)
        split = np.full(rows.table.rows, -1)
        for place, name in enumerate(SPLITS):
            split[texts == getattr(self, name)] = place
        return split


Split = Annotated[ByModulo | ByShare | ByTime | ByFile | ByColumn, Field(discriminator="rule")]


def deal(rule: Split, rows: Rows) -> Ints:
    """(rows,) place in SPLITS of each row, -1 where it is left out.

    Raises:
        TriadError: a split gets no row.
    """
    split = rule.deal(rows)
    for place, name in enumerate(SPLITS):
        if not (split == place).any():
            raise TriadError(f"the split {name} gets no row", where=rows.table.where, mend="correct the form's `split`")
    return split.astype(np.int8)


def chance(names: Iterable[str], seed: int) -> Floats:
    """(n,) a number in [0, 1) that follows from each name."""
    digests = (hashlib.md5(f"{seed}:{name}".encode()).hexdigest()[:8] for name in names)
    return np.array([int(digest, 16) / 2**32 for digest in digests])
