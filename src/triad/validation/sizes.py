"""Finds texts that are too long and ids with control characters, which later stages cannot handle.

An id of 100,000 characters makes arrays of gigabytes, and one that ends with a NUL is another id in half of the tools
that read it. The limits are the contract's, so no suite must carry them, and a shop's own columns are asked too.
"""

from __future__ import annotations

import duckdb

from triad.schema import ATTRIBUTE_LENGTH, TABLES
from triad.validation.checks import Check
from triad.validation.rows import places, quoted

_CONTROL = r"[\x00-\x1F\x7F]"


def check_sizes(session: duckdb.DuckDBPyConnection, name: str) -> list[Check]:
    """A check a column of table `name` with rows at fault; one that passed where there are none."""
    questions = _questions(session, name)
    counts = ", ".join(f"count(*) FILTER ({condition})" for _, _, condition in questions)
    row_counts = session.execute(f"SELECT {counts} FROM {name}").fetchall()[0]
    faults = [
        Check("sizes", name, column, "critical", False, message, rows, rows=places(name, condition))
        for (column, message, condition), rows in zip(questions, row_counts, strict=True)
        if rows
    ]
    message = "no text is longer than the contract allows, no id holds control characters"
    return faults or [Check("sizes", name, None, "critical", True, message)]


def _questions(session: duckdb.DuckDBPyConnection, name: str) -> list[tuple[str, str, str]]:
    """Column, what is wrong with a row, and the SQL condition of such a row."""
    limits = {column.name: column.max_length for column in TABLES[name].columns}
    texts = [row[0] for row in session.execute(f"DESCRIBE {name}").fetchall() if row[1] == "VARCHAR"]
    questions = []
    for column in texts:
        limit, text = limits.get(column, ATTRIBUTE_LENGTH), quoted(column)
        # bytes are at hand, characters must be counted
        long = f"strlen({text}) > {limit} AND length({text}) > {limit}"
        questions.append((column, f"a text has at most {limit:,} characters", long))
        if column in limits and column.endswith("_id"):
            control = f"regexp_matches({text}, '{_CONTROL}')"
            questions.append((column, "an id holds no control characters", control))
    return questions
