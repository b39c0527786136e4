"""The database that `ingest.files.database` names: its address, its password, and the program that reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import exc

from triad.errors import TriadError
from triad.redaction import shown_path
from triad.sources.places import expanded
from triad.sources.relations import Relation

PASSWORD = "TRIAD_DATABASE_PASSWORD"
"""The environment variable that holds the password. Triad never writes it anywhere."""

_WAIT = 30  # seconds for a server that does not answer


class Database(Protocol):
    """An open database that shows one moment."""

    def relation(self, table: str, where: str) -> Relation:
        """The table or view, which may be written `schema.table`; `where` is the params key."""


@contextmanager
def connected(address: str) -> Iterator[Database]:
    """The database at `address`, as the user wrote it.

    Raises:
        TriadError: it is no address, its driver is missing, there is no server, or the user is refused.
    """
    where = "ingest.files.database"
    at = shown_path(address)
    try:
        url = sa.make_url(expanded(address, f"{where} {at}"))
    except (exc.ArgumentError, ValueError):
        mend = "write it like postgresql://user@host:5432/database"
        raise TriadError("is no address of a database", where=f"{where} {at}", mend=mend) from None
    if password := os.environ.get(PASSWORD):
        url = url.set(password=password)
    if url.get_backend_name() in ("postgresql", "postgres") and "+" not in url.drivername:
        from triad.sources import postgres

        if "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(_WAIT)})
        url = url.set(drivername="postgresql")
        identity = f"{url.host} {url.port} {url.database}"
        with postgres.connected(url.render_as_string(hide_password=False), at, identity) as opened:
            yield opened
    else:
        from triad.sources import alchemy

        with alchemy.connected(url.render_as_string(hide_password=False), at) as other:
            yield other
