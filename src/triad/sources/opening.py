"""Where each table of `ingest.files` lies: files, or a table of the database. The database is opened once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from triad.config.files import FilesParams
from triad.sources import reading
from triad.sources.base import Rows
from triad.sources.clock import clock
from triad.sources.relations import Windowed

Find = Callable[[str], Rows]
"""The name of a table of the contract → its rows."""


@contextmanager
def opened(files: FilesParams, window: tuple[datetime, datetime]) -> Iterator[Find]:
    """What finds the rows of each table that is read. A database's tables are all of one moment, the `window`'s alone.

    Raises:
        TriadError: the database cannot be opened.
    """
    if all(table.table is None for table in files.tables.values()):
        yield lambda name: reading.locate(files.tables[name], f"ingest.files.{name}")
        return
    from triad.sources.database import connected

    assert files.database is not None, "FilesParams has checked it"
    with connected(files.database) as database:

        def find(name: str) -> Rows:
            table, where = files.tables[name], f"ingest.files.{name}"
            if table.table is None:
                return reading.locate(table, where)
            return Windowed(where, database.relation(table.table, where), clock(name, table, window))

        yield find
