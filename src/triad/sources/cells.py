"""The source of a contract column and its possible faults, shared by all conversions to SQL.

Texts of the mapping enter the SQL only quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

from triad.config.files import TableParams

BLANK = "\\s\u00a0\u202f\u3000"
"""Blanks of all kinds, within the brackets of an RE2 expression."""

CONSTANT = "(constant)"
"""The source of what no column of a file tells."""


@dataclass(frozen=True)
class Fault:
    """A way a value can be bad: `sql` is the offending text, NULL where all is well.

    A `counted` one is told in the log, and stops nothing.
    """

    source: str
    what: str
    mend: str
    sql: str
    counted: bool = False


@dataclass(frozen=True)
class Value:
    """A contract column's SQL, and the ways it can fail."""

    sql: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A source's name for a column and its DuckDB type; SQL for its value as it stands and as changed text."""

    source: str
    type: str
    raw: str
    text: str
    table: TableParams

    def fault(self, is_bad: str, what: str, mend: str, *, counted: bool = False) -> Fault:
        """What is wrong where `is_bad` holds; a NULL there is no fault."""
        return Fault(self.source, what, mend, f"CASE WHEN {is_bad} THEN {self.text} END", counted)

    def convertible(self, sql: str, what: str, mend: str, *faults: Fault) -> Value:
        """`sql`, at fault where there is a text and `sql` makes nothing of it, beside other `faults`."""
        return Value(sql, (*faults, self.fault(f"{self.text} IS NOT NULL AND {sql} IS NULL", what, mend)))


def quote(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
