"""Exposures in parts: ranges of users with about as many exposures each.

All that the log says of a user lies in one part. So memory follows the part, not the log, and parts are made side by
side: DuckDB and NumPy work outside of Python's lock, so that threads are enough. Exposures lie by user, so the parts'
arrays one after the other are those of the whole log, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import duckdb
import numpy as np

from triad.arrays import Ints
from triad.features.sql import columns, scalar

ROWS = 250_000
"""Exposures of a part: its arrays and temporaries are some 150 MB. A user with more is a part of its own."""

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """The users [users[0], users[1]), whose exposures are the rows [rows[0], rows[1])."""

    users: tuple[int, int]
    rows: tuple[int, int]

    @property
    def users_where(self) -> str:
        return f"user_no >= {self.users[0]} AND user_no < {self.users[1]}"

    @property
    def rows_where(self) -> str:
        return f"row >= {self.rows[0]} AND row < {self.rows[1]}"

    @property
    def slice(self) -> slice:
        return slice(*self.rows)


def cut(session: duckdb.DuckDBPyConnection, n_users: int) -> list[Part]:
    """The parts of `exposure`, in the order of its rows; one at least."""
    counted = columns(session, "SELECT user_no, count(*) AS n FROM exposure GROUP BY user_no ORDER BY user_no")
    return spans(counted["user_no"], counted["n"], n_users)


def spans(user_no: Ints, n: Ints, n_users: int) -> list[Part]:
    """Parts of `n_users`, where the users `user_no`, ascending, have `n` exposures each."""
    after = np.cumsum(n)
    before = after - n
    # a part begins with the user in whose exposures the next multiple of ROWS lies
    starts = np.flatnonzero(np.r_[False, before[1:] // ROWS != before[:-1] // ROWS]) if len(after) else after
    users = [0, *user_no[starts].tolist(), n_users]
    rows = [0, *before[starts].tolist(), int(after[-1]) if len(after) else 0]
    return [Part(*each) for each in zip(pairwise(users), pairwise(rows), strict=True)]


def side_by_side(session: duckdb.DuckDBPyConnection, work: Callable[[Item], T], of: Sequence[Item]) -> list[T]:
    """`work` of each, in order, on as many threads as the engine has."""
    threads = scalar(session, "SELECT current_setting('threads')")
    if min(threads, len(of)) < 2:
        return [work(one) for one in of]
    pool = ThreadPoolExecutor(threads)
    try:
        return list(pool.map(work, of))
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def cursor(session: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of its own: threads must not share one."""
    own = session.cursor()
    try:
        yield own
    finally:
        own.close()
