"""Quotes a path for its reader: a pattern, a URL, SQL text, or one entry of a list.

A folder may be called `my shop [50%] #1?`; each reader takes other signs of it for its own.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from urllib.parse import unquote

from triad.errors import TriadError

_OF_URLS = {"%": "%25", "?": "%3F", "#": "%23"}


def pattern(path: Path | str) -> str:
    """`path` as a pattern that only it matches, for DuckDB and `glob`."""
    return glob.escape(str(path))


def sql_text(text: Path | str) -> str:
    """`text` between quotes, as SQL reads it."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet_below(folder: Path) -> str:
    """The Parquet files anywhere below `folder`, as an argument in DuckDB's SQL."""
    return sql_text(f"{pattern(folder)}/**/*.parquet")


def sqlalchemy_url(dialect: str, path: Path) -> str:
    """SQLAlchemy's URL of the database file at `path`."""
    return f"{dialect}:///{_quoted(path)}"


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's and MLflow's URL of a SQLite file.

    MLflow makes the folder that stands in a URL `sqlite:///…`, without taking the quotes off; so a path that needs them
    is told with the driver's name.
    """
    return sqlalchemy_url("sqlite" if _quoted(path) == str(path) else "sqlite+pysqlite", path)


def is_sqlite(url: str) -> bool:
    """Whether `url` names a SQLite file."""
    return url.startswith(("sqlite:", "sqlite+"))


def sqlite_file(url: str) -> Path:
    """The file that a URL of SQLite names."""
    return Path(unquote(url.partition(":///")[2].partition("?")[0]))


def entry(path: Path) -> str:
    """`path` as one entry of PATH or PYTHONPATH.

    Raises:
        TriadError: it holds the sign that separates entries, which nothing can quote.
    """
    if os.pathsep in str(path):
        raise TriadError(
            f"its path holds {os.pathsep!r}, which separates the entries of PATH and PYTHONPATH",
            where=str(path),
            mend="move it to a folder without that sign",
        )
    return str(path)


def _quoted(path: Path) -> str:
    return "".join(_OF_URLS.get(sign, sign) for sign in str(path))
