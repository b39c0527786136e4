"""What tables of databases share, whatever program reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Connected(Protocol):
    """An open transaction."""

    @property
    def at(self) -> str:
        """What may be printed of the database's address."""

    @property
    def identity(self) -> str:
        """What no other database has. It holds no password."""


Connection = TypeVar("Connection", bound=Connected)


@dataclass(frozen=True)
class InDatabase(Generic[Connection]):
    """One table or view, which may be written `schema.table`; `where` is the params key."""

    connection: Connection
    table: str
    where: str

    @property
    def name(self) -> str:
        return f"{self.connection.at}, table {self.table}"

    @property
    def identity(self) -> str:
        return f"{self.connection.identity} {self.table}"
