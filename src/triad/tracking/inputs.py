"""The inputs of a serving model: tables in memory, in a folder or at a URL, opened as one DuckDB session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlparse

import duckdb
import fsspec
import pyarrow as pa

from triad.errors import TriadError
from triad.schema import REQUIRED, TABLES
from triad.tables import connect, present

Tables: TypeAlias = Path | str | Mapping[str, Any] | duckdb.DuckDBPyConnection
"""A folder of the contract's Parquet, its fsspec URL, tables by name (Arrow or pandas), or what `opened` gave."""


@contextmanager
def opened(tables: Tables) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session on `tables`, closed afterwards; what lies elsewhere is fetched first.

    Raises:
        TriadError: a needed table is not there, or one does not fit the contract.
    """
    if isinstance(tables, duckdb.DuckDBPyConnection):
        yield tables
        return
    if isinstance(tables, Mapping):
        known = {name: arrow(name, data) for name, data in tables.items() if name in TABLES}
        _check(known, "the tables given")
        with closing(connect(known)) as session:
            yield session
        return
    with _local(str(tables)) as folder:
        _check(present(folder), str(tables))
        with closing(connect(folder)) as session:
            yield session


def _check(names: Iterable[str], where: str) -> None:
    missing = sorted({*REQUIRED} - {*names})
    if missing:
        raise TriadError(f"missing tables: {', '.join(missing)}", where=where, mend=f"give {', '.join(REQUIRED)}")


def arrow(name: str, data: Any) -> pa.Table:
    """The table `name`, given as Arrow or pandas.

    Raises:
        TriadError: a column of it holds values of several types.
    """
    if isinstance(data, pa.Table):
        return data
    try:
        return pa.Table.from_pandas(data, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
        mend = "give each column values of one type, texts of whole characters, numbers within 64 bits"
        raise TriadError(
            f"holds values of several types: {error.args[-1]}", where=f"table {name}", mend=mend
        ) from error


@contextmanager
def _local(place: str) -> Iterator[Path]:
    if "://" not in place:
        yield Path(place)
        return
    if place.startswith("file:"):
        yield Path(unquote(urlparse(place).path))
        return
    with tempfile.TemporaryDirectory(prefix="triad-tables-") as scratch:
        system, root = fsspec.url_to_fs(place)
        for name in TABLES:
            remote = f"{root.rstrip('/')}/{name}"
            for file in system.find(remote):  # `get` would take a folder's name for a pattern
                local = Path(scratch) / name / file.removeprefix(f"{remote}/")
                local.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(file, str(local))
        yield Path(scratch)
