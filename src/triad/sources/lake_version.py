"""What the readers of lakes share: a version of a table, its columns, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from triad.errors import TriadError
from triad.redaction import masked
from triad.sources.base import no_column
from triad.sources.clock import Bounds


@dataclass(frozen=True)
class Version:
    """One version of a table, which no writer changes."""

    name: str
    where: str
    table: Any

    @property
    def identity(self) -> str:
        return self.name

    def days(self, bounds: Bounds, changed_at: str | None) -> None:
        """These readers do not tell."""


def chosen(known: pa.Schema, columns: Sequence[str], at: str, where: str) -> pa.Schema:
    """The fields of the columns.

    Raises:
        TriadError: one is not there.
    """
    for name in columns:
        if name not in known.names:
            raise no_column(name, known.names, at, where)
    return pa.schema([known.field(name) for name in columns])


@contextmanager
def explained(at: str, absent: tuple[type[Exception], ...], broken: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turns what a reader raises where a table is `absent` or `broken` into what an owner can act on."""
    try:
        yield
    except absent:
        mend = "correct the path, or the catalog that it names"
        raise TriadError("there is no such table", where=at, mend=mend) from None
    except broken as error:
        said = (str(error).strip().splitlines() or [""])[0]
        mend = "see whether path, access and catalog are right"
        raise TriadError(
            f"cannot be read: {masked(said)} ({type(error).__name__})",
            where=at,
            mend=mend,
            transient=isinstance(error, OSError),
        ) from None
