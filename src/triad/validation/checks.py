"""The result of one check, and its text for people. It reads and writes no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True)
class Check:
    """One question asked of the data, and its answer.

    Args:
        name: what was asked: an expectation's type, or the name of a check of ours.
        table: the contract table.
        column: the column, or None where the whole table is meant.
        severity: `critical` stops the run, `warning` and `info` are reported.
        passed: the answer.
        message: the answer in words.
        unexpected: how many rows (or days, files, columns) are not as expected.
        samples: a few of them.
        broken: the question itself could not be asked (a wrong expectation, say); always critical.
        rows: of a row's check that failed: SQL for the places of the rows at fault, see `rows.rows_of`; else empty.
        set_aside: table → rows set aside for this check, `share` of the table, and `days` where the table has them.
    """

    name: str
    table: str
    column: str | None
    severity: Severity
    passed: bool
    message: str
    unexpected: int = 0
    samples: tuple[dict[str, Any], ...] = ()
    broken: bool = False
    rows: str = ""
    set_aside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """`table.column`, or the table alone."""
        return self.table if self.column is None else f"{self.table}.{self.column}"

    def line(self) -> str:
        """One line: where, what, how many, sample rows."""
        samples = "; ".join(", ".join(f"{k}={v}" for k, v in row.items()) for row in self.samples[:3])
        count = f" ({self.unexpected:,} unexpected)" if self.unexpected else ""
        shown = f", for example {samples}" if samples else ""
        return f"{self.place}: {self.message}{count}{shown}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `result.json` holds them."""
        plain = {**asdict(self), "samples": list(self.samples)}
        del plain["rows"]
        return plain


def failed(checks: Iterable[Check], severity: Severity) -> list[Check]:
    """The checks of `severity` that did not pass, in their order."""
    return [check for check in checks if check.severity == severity and not check.passed]


def describe(checks: Sequence[Check], most: int = 20) -> str:
    """The first `most` of `checks`, one a line."""
    lines = [f"\n  - {check.line()}" for check in checks[:most]]
    rest = len(checks) - most
    return "".join(lines) + (f"\n  - and {rest} more" if rest > 0 else "")
