"""What a registry in a SQLite file says of a version, read without MLflow, whose import takes a second.

The tables are MLflow's. They are read in the one form that is known here; of any other, and wherever anything is not as
expected, the answer is None: ask MLflow.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

from triad.paths import is_sqlite, sqlite_file

REVISION = "dc11669786a5"
"""MLflow's name of that form (Alembic's), as MLflow 3.17 writes it."""
WORKSPACE = "default"


@dataclass(frozen=True)
class Entry:
    """A registered version."""

    run_id: str
    files: Path


def version_of(uri: str, model: str, alias: str) -> str | None:
    """The version that `alias` names in the registry `uri`."""
    row = _row(
        uri,
        "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ? AND workspace = ?",
        (model, alias, WORKSPACE),
    )
    return None if row is None else str(row[0])


def entry_of(uri: str, model: str, version: str) -> Entry | None:
    """A version whose files lie in a folder of this machine."""
    row = _row(
        uri,
        "SELECT run_id, storage_location FROM model_versions WHERE name = ? AND version = ? AND workspace = ?"
        " AND current_stage <> 'Deleted_Internal'",
        (model, version, WORKSPACE),
    )
    if row is None or None in row:
        return None
    place = urlparse(row[1])
    files = Path(unquote(place.path))
    return Entry(row[0], files) if place.scheme == "file" and not place.netloc and files.is_dir() else None


def _row(uri: str, query: str, asked: tuple[str, ...]) -> tuple[str, ...] | None:
    if not is_sqlite(uri) or not (file := sqlite_file(uri)).is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)) as database:
            known: list[tuple[str]] = database.execute("SELECT version_num FROM alembic_version").fetchall()
            rows: list[tuple[str, ...]] = database.execute(query, asked).fetchall() if known == [(REVISION,)] else []
    except sqlite3.Error:
        return None
    return rows[0] if len(rows) == 1 else None
