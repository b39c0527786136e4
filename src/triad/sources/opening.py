"""Where each table of `ingest.files` lies: files, a lake, or a table of the database, which is opened once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from triad.config.files import FilesParams
from triad.sources import reading
from triad.sources.base import Rows
from triad.sources.clock import clock
from triad.sources.lakes import lake
from triad.sources.relations import Windowed

Find = Callable[[str], Rows]
"""The name of a table of the contract → its rows."""


@contextmanager
def opened(files: FilesParams, window: tuple[datetime, datetime]) -> Iterator[Find]:
    """What finds the rows of each table that is read. A database's tables are all of one moment, the `window`'s alone.

    Raises:
        TriadError: the database cannot be opened.
    """
    with ExitStack() as stack:
        database = None
        if files.database is not None and any(table.table for table in files.tables.values()):
            from triad.sources.database import connected

            database = stack.enter_context(connected(files.database))

        def find(name: str) -> Rows:
            table, where = files.tables[name], f"ingest.files.{name}"
            if not table.is_relation:
                return reading.locate(table, where)
            if database is not None and table.table is not None:
                relation = database.relation(table.table, where)
            else:
                relation = lake(table.path or "", table.format or "", where)
            when = clock(name, table, window)
            return Windowed(where, relation, when, table.look_back_days, table.changed_at)

        yield find
