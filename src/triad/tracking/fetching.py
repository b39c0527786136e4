"""Fetches the files of a registered version to this machine, exactly as published, or fails."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from triad.artifacts import replacing
from triad.errors import TriadError
from triad.paths import is_sqlite
from triad.tracking import direct, signing
from triad.tracking.place import tracking_uri
from triad.tracking.store import client

_LOADED = "registered_model_meta"


def folder_of(model: str, version: str) -> Path:
    """The files of a version as they were published: a copy, until this process ends, whose signature holds.

    Raises:
        TriadError: they are gone, or not what was signed.
    """
    place = tempfile.mkdtemp(prefix="triad_version_")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return fetch(model, version, Path(place) / "files")


def copy_out(model: str, version: str, folder: Path) -> None:
    """`fetch`, for others to load: the files have the name `folder` once they are verified, and not before.

    Raises:
        TriadError: as `fetch`.
    """
    _check_new(folder)
    with replacing(folder) as fresh:
        fresh.rmdir()
        fetch(model, version, fresh)


def _check_new(folder: Path) -> None:
    if folder.exists():
        raise TriadError("is there already", where=str(folder), mend="name a folder that does not exist yet")


def fetch(model: str, version: str, folder: Path) -> Path:
    """Copy a version's files into the new `folder`, and verify their signature there.

    Raises:
        TriadError: `folder` is there already; the files are gone, or not what was signed, and nothing is left.
    """
    _check_new(folder)
    where = f"model {model}, version {version}"
    try:
        run_id = _copy(model, version, folder)
        if not (folder / "MLmodel").is_file():  # MLflow copies nothing from a folder that is gone, without a word
            raise FileNotFoundError("No such artifact: MLmodel")
        # what MLflow and Python write beside a model when somebody loads it from where it lies
        (folder / _LOADED).unlink(missing_ok=True)
        for compiled in list(folder.rglob("__pycache__")):
            shutil.rmtree(compiled)
        signing.verify(folder, model, run_id, where)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise TriadError(
            f"its files cannot be read: {str(error).splitlines()[0]}",
            where=where,
            mend="bring the artifact store back (a local one holds absolute paths: do not move the folder), "
            "or `triad rollback --to` another version",
            transient=not is_sqlite(tracking_uri()),
        ) from error
    return folder


def _copy(model: str, version: str, folder: Path) -> str:
    """A version's files into the new `folder`; returns the run that wrote them.

    Raises:
        OSError: they cannot be read.
    """
    if (known := direct.entry_of(tracking_uri(), model, version)) is not None:
        shutil.copytree(known.files, folder, symlinks=True)
        return known.run_id
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        entry = client(make=False).get_model_version(model, version)
        mlflow.artifacts.download_artifacts(f"models:/{model}/{version}", dst_path=str(folder))
    except MlflowException as error:
        raise OSError(str(error)) from error
    return str(entry.run_id)
