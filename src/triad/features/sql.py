"""How the feature code queries DuckDB: one reader into arrays, and the units that both sides share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Floats, Ints
from triad.tables import LOCK
from triad.texts import Texts, joined

if TYPE_CHECKING:
    import duckdb

HOUR = 3_600_000_000
DAY = 24 * HOUR
"""Microseconds. A `day` is the number of whole UTC days since the epoch."""

MICRO = 1_000_000
"""Sums of fractions are taken in whole millionths: integers add up to the same bits in any order and on any thread."""


def bound(session: duckdb.DuckDBPyConnection) -> None:
    """Let the engine spill to its temporary folder beyond a limit that leaves room for the arrays; lock its settings.

    The limit is 400 MB, or 150 a thread where that is more: each has buffers of its own.
    """
    if scalar(session, "SELECT current_setting('lock_configuration')::INT"):
        return
    limit = max(400, 150 * scalar(session, "SELECT current_setting('threads')"))
    session.execute(f"SET memory_limit = '{limit}MB'")
    # else the memory of tables that are dropped stays with the engine's allocator, beside what is made next
    session.execute("SET allocator_background_threads = true")
    session.execute(LOCK)


def columns(session: duckdb.DuckDBPyConnection, query: str) -> dict[str, np.ndarray]:
    """The query's columns as arrays; a null is NaN in a float column and "" in a text column (of objects)."""
    arrays = session.execute(query).fetchnumpy()
    return {name: _filled(values) for name, values in arrays.items()}


def scalar(session: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one whole number that the query answers."""
    row = session.execute(query).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def texts(session: duckdb.DuckDBPyConnection, column: str, table: str, order: str) -> Texts:
    """A text expression over `table`, ordered by `order`, read piece by piece; a null is ""."""
    session.complete()  # a count that was not read to its end would stand in the way
    read = session.sql(f"SELECT {column} AS text FROM {table} ORDER BY {order}").to_arrow_reader()
    return joined([Texts.of([]), *(Texts.of(piece["text"]) for piece in read)])


def _filled(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return np.array(["" if v is None or v is np.ma.masked else v for v in values.tolist()], dtype=object)
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if np.issubdtype(values.dtype, np.floating):
        return values.filled(np.nan)
    if values.mask.any():
        raise ValueError("a whole-number column holds a null; cast it to a float or give it a value in the query")
    return values.data


def day_of(time: Ints) -> Ints:
    """Whole UTC days since the epoch of microseconds."""
    return np.asarray(time, np.int64) // DAY


def nan(n: int) -> Floats:
    """(n,) of NaN, float32."""
    return np.full(n, np.nan, np.float32)
