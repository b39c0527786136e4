"""What every source of a table is to those who read it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from triad.errors import TriadError

ROW = "row over all files"
"""The column added to each piece: from 0, over all that is read, in the order of reading."""

_NAMES = 20  # columns or files in a message


SPACE = 1 << 40
"""Rows that a part may have. Where parts are kept, each begins at a multiple of it."""


@dataclass(frozen=True)
class Part:
    """A part of a table that is read, and kept, by itself: a file, or a day.

    Args:
        name: tells it from all parts of all sources.
        version: differs whenever what it holds may differ; None: nobody can tell, so it is not kept.
        rows: SQL that is true for its rows, once they have been read.
        first_row: the `ROW` of its first row.
        is_renumbered: whether its rows came among those of other parts.
        is_read_again: whether it is read even if it is kept in this version.
    """

    name: str
    version: str | None
    rows: str
    first_row: int
    is_renumbered: bool = False
    is_read_again: bool = False


class Rows(Protocol):
    """The rows of one table."""

    @property
    def where(self) -> str:
        """The params key of the table."""

    @property
    def name(self) -> str:
        """Where it lies, as it may be printed."""

    @property
    def is_ordered(self) -> bool:
        """Whether the same rows come in the same order every time, so that `ROW` names them."""

    def parts(self) -> Sequence[Part]:
        """The parts of the table, in the order of reading; none where it is read as a whole."""

    def pieces(self, columns: Sequence[str], known: Collection[str] | None = None) -> Iterator[pa.Table]:
        """The named columns, piece by piece, with `ROW` beside them.

        Args:
            columns: of the source.
            known: the names of parts that are not to be read; None: rows are numbered without gaps.

        Raises:
            TriadError: they cannot be read, or a column is not there.
        """

    def place(self, row: int) -> tuple[str, int]:
        """What holds a row (a file), and the row's number in it, from 1."""


def no_column(name: str, known: Sequence[str], at: str, where: str) -> TriadError:
    """That `at` has no column `name` but those `known`; `where` is the params key of the table."""
    near = difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean {near[0]!r}? Correct {where}.columns" if near else f"correct {where}.columns"
    return TriadError(f"column is missing; found {few(known)}", where=f"{at}, column {name}", mend=mend)


def no_table(name: str, known: Sequence[str], at: str, where: str) -> TriadError:
    """That the database of `at` shows no table or view `name` but those `known`; `where` is the params key."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    mend = f"{hint}Correct {where}.table; capitals count, and {few(known) or 'no table'} can be seen"
    return TriadError("there is no such table or view", where=at, mend=mend)


def few(names: Sequence[str]) -> str:
    """The names, or the first of them and how many more."""
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
