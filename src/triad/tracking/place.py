"""Finds the registry of a stage, wherever it runs, and whether it runs for an experiment.

`MLFLOW_TRACKING_URI` names the registry; else it is a SQLite file in the checkout that the stage belongs to. That is
the present folder, but for the folders that DVC makes for an experiment and throws away (`dvc exp run --temp`, the
queue), and for a night's workspace. What `triad workspace` makes is a checkout of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlparse

from triad.artifacts import read_json
from triad.errors import TriadError
from triad.paths import is_sqlite, sqlite_file, sqlite_url

DATABASE = Path("mlflow.db")
RECORD = Path(".triad") / "run.json"
"""A night's workspace is known by it."""

_NOT_PATHS = ("databricks", "uc")  # names of MLflow's own that look like relative paths


def experiment() -> str | None:
    """The DVC experiment that this process works for, None outside of one. An experiment promotes nothing."""
    return os.environ.get("DVC_EXP_NAME") or None


def checkout() -> Path:
    """The checkout that the present folder belongs to.

    Raises:
        TriadError: the checkout of the night whose workspace this is has gone.
    """
    here, root = Path.cwd(), os.environ.get("DVC_ROOT")
    if experiment() and root:  # DVC names the repository there, also to what runs in a temporary folder
        inside = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
        here = Path(root).resolve() / here.relative_to(inside)
    if not (here / RECORD).is_file():
        return here
    owner = Path(read_json(here / RECORD)["checkout"])
    if not owner.is_dir():
        raise TriadError(
            "the checkout that this night was opened from is gone, and its registry with it",
            where=str(owner),
            mend="move it back, or open the night again from its new place",
        )
    return owner


def tracking_uri(of: Path | None = None) -> str:
    """MLFLOW_TRACKING_URI, else the SQLite file of the checkout `of`, by default of the present folder's.

    Paths in it are relative to that checkout: a stage may run in a folder that is thrown away.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if not named:
        return sqlite_url((_checkout(of) / DATABASE).resolve())
    if is_sqlite(named):
        path = named.partition(":///")[2]
        if path.startswith(("/", ":", "?")) or not path:
            return named
        return sqlite_url(_checkout(of) / sqlite_file(named)) + "".join(path.partition("?")[1:])
    url = urlparse(named)
    if url.scheme in ("", "file") and url.path and not url.netloc and not url.path.startswith(("/", *_NOT_PATHS)):
        return str(_checkout(of) / url.path)
    return named


def _checkout(of: Path | None) -> Path:
    return checkout() if of is None else of.resolve()


def is_there(uri: str) -> bool:
    """Whether a registry may be at `uri`: False only for a SQLite file that is not there."""
    return not is_sqlite(uri) or sqlite_file(uri).exists()
