"""The MLflow store that `place.py` names: its client, and locks between the processes that share it.

Importing MLflow takes seconds, so it happens inside the functions that need it.
"""

from __future__ import annotations

import io
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from triad import machine
from triad.errors import TriadError
from triad.locking import held
from triad.paths import is_sqlite, sqlite_file
from triad.tracking.place import checkout, is_there, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Engine

ARTIFACTS = Path("mlartifacts")


def home() -> Path:
    """The folder whose processes share the store: its database's, else the checkout (TRIAD_CHECKOUT names another)."""
    uri = tracking_uri()
    if is_sqlite(uri):
        return sqlite_file(uri).resolve().parent
    return Path(os.environ.get("TRIAD_CHECKOUT") or checkout()).resolve()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds off, until the end, other processes that share the store. The lock dies with its process."""
    with held(home() / ".triad" / name, wait=True):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps MLflow's advice and remarks out of a stage's log. What goes wrong is raised all the same."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


_UPGRADED: set[tuple[str, int, int]] = set()
"""Databases this process has looked at: a look takes 20 ms, the client 4, and a stage asks for many."""


def client(*, make: bool = True) -> MlflowClient:
    """A client of the store, which is made (if `make`) or brought up to this MLflow's schema where it is a local file.

    Raises:
        TriadError: the server does not answer, or the database cannot be opened, or is not there and not to be made.
    """
    uri = tracking_uri()
    if not (make or is_there(uri)):
        raise TriadError(
            "there is no registry",
            where=uri,
            mend="run this in the checkout that has one, or name it in MLFLOW_TRACKING_URI; "
            "the first `dvc repro` makes one",
        )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # a wrong address must fail at once, not after minutes of retries
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    try:
        if is_sqlite(uri):
            with locked("mlflow"):
                _upgrade(uri)
        mlflow_client = mlflow.MlflowClient()
        mlflow_client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        text = str(error).strip().splitlines()
        mend = "start the server, correct MLFLOW_TRACKING_URI, or unset it to use a local file"
        if is_sqlite(uri):
            mend = "bring the file back from a backup: it says which version serves"
        raise machine.translated(error) or TriadError(
            f"the tracking store does not answer: {text[0] if text else error}", where=uri, mend=mend, transient=True
        ) from error
    except ImportError as error:
        mend = f"install {error.name or 'it'} beside Triad, or correct MLFLOW_TRACKING_URI"
        raise TriadError(f"what this address needs is not installed: {error}", where=uri, mend=mend) from error
    return mlflow_client


def _upgrade(uri: str) -> None:
    # what `mlflow db upgrade` does, without starting a process
    from mlflow.store.db import utils

    with closing(sqlite3.connect(sqlite_file(uri))) as probe:  # MLflow tries a file that cannot be opened for minutes
        probe.execute("PRAGMA schema_version")
    if _file(uri) in _UPGRADED:
        return
    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    try:
        if utils._is_empty_database(engine):
            utils._initialize_tables(engine)
            _add_default_experiment(engine)
        elif utils._get_schema_version(engine) != utils._get_latest_schema_revision():
            utils._upgrade_db(engine)
    finally:
        engine.dispose()
    _UPGRADED.add(_file(uri))


def _file(uri: str) -> tuple[str, int, int]:
    """A database as long as nobody puts another in its place."""
    status = sqlite_file(uri).stat()
    return uri, status.st_dev, status.st_ino


def _add_default_experiment(engine: Engine) -> None:
    # MLflow would add it, in SQL that it writes without quoting the folder's name
    from mlflow.store.tracking.dbmodels.models import SqlExperiment
    from sqlalchemy.orm import Session

    place = (home() / ARTIFACTS / "Default").as_uri()
    with Session(engine) as session, session.begin():
        session.add(SqlExperiment(experiment_id=0, name="Default", artifact_location=place, lifecycle_stage="active"))


def _check_own(place: str, name: str) -> None:
    """Refuses a registry that was copied with its checkout: versions would lie in the other's folder."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    files = local_file_uri_to_path(place) if place.startswith(("/", "file:")) else None
    if files is None or not is_sqlite(tracking_uri()):
        return
    other, own = Path(files).parent.parent.resolve(), sqlite_file(tracking_uri()).resolve()
    if Path(files).parent.name == ARTIFACTS.name and other != own.parent and (other / own.name).is_file():
        raise TriadError(
            f"is a copy of the registry in {other}, where its files lie",
            where=f"{own}, experiment {name}",
            mend="name that registry in MLFLOW_TRACKING_URI, or move this file away, and begin a registry of its own: "
            "`triad registry init`",
        )


def experiment_id(mlflow_client: MlflowClient, name: str) -> str:
    """The experiment called `name`, made if it is not there; a local store keeps files in `mlartifacts/` beside it."""
    with locked("mlflow"):
        experiment = mlflow_client.get_experiment_by_name(name)
        if experiment is None:
            place = (home() / ARTIFACTS / name).as_uri() if is_sqlite(tracking_uri()) else None
            return mlflow_client.create_experiment(name, artifact_location=place)
    _check_own(experiment.artifact_location, name)
    if experiment.lifecycle_stage != "active":
        raise TriadError(
            "the experiment was deleted",
            where=f"publish.experiment: {name}",
            mend=f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`, or name another",
        )
    return experiment.experiment_id
