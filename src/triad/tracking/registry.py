"""The registry: versions by lineage key, an alias that moves only on a PASS, and the way back.

A version's tags carry its history: `promoted_at`, `previous_champion`, `rolled_back_at`, `lineage_key`, `branch`, which
keeps its night in git, and `compared_with`, the champion its verdict was made against. The alias names the version that
serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triad.errors import TriadError
from triad.tracking import direct, signing
from triad.tracking.fetching import folder_of
from triad.tracking.former import published
from triad.tracking.moving import move, settle
from triad.tracking.place import is_there, tracking_uri
from triad.tracking.store import client, locked

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from triad.tracking.packaged import Packaged
    from triad.tracking.serving import ServingModel

LINEAGE_FILE = "lineage.json"
TRIED = "tried_at"
"""The tag of a version that says since when it is tried beside the champion."""


@dataclass(frozen=True)
class Version:
    """A registered version with what the registry knows of it."""

    model: str
    number: str
    run_id: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    lineage: dict[str, Any]


def aliases(mlflow_client: MlflowClient, model: str) -> dict[str, str] | None:
    """Alias → version, or None where no such model is registered."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(mlflow_client.get_registered_model(model).aliases)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def current(mlflow_client: MlflowClient, model: str, alias: str) -> str | None:
    """The version `alias` names, or None where the model or the alias is not there."""
    version = (aliases(mlflow_client, model) or {}).get(alias)
    return None if version is None else str(version)


def serving(model: str, alias: str, of: Path | None = None) -> str | None:
    """The version that serves, or None where none has passed yet. It makes no registry.

    Args:
        model: the registered model.
        alias: what names its champion.
        of: the checkout, by default that of the present folder.

    Raises:
        TriadError: a version has served but the alias is gone; or models were registered before (`former.py`), of which
            this registry does not know, nor was it begun by `triad registry init`.
    """
    uri = tracking_uri(of)
    if (version := direct.version_of(uri, model, alias)) is not None:
        return version
    mlflow_client = client(make=False) if is_there(uri) else None
    if mlflow_client is not None and (known := aliases(mlflow_client, model)) is not None:
        if alias in known:
            return str(known[alias])
        served = [number for number, tags in versions(mlflow_client, model).items() if "promoted_at" in tags]
        if served:
            raise TriadError(
                f"no version is {alias}, but version {served[-1]} was: the alias has been removed",
                where=f"model {model}",
                mend=f"`triad promote {served[-1]}` lets it serve again",
            )
        return None
    for former, source in published(of).items():
        if mlflow_client is None or aliases(mlflow_client, former) is None:
            raise TriadError(
                f"model {former} was registered once, as {source} says, but this registry does not know it",
                where=uri,
                mend="bring the registry back, or name it in MLFLOW_TRACKING_URI; `triad registry init` begins a new "
                "one, in which tonight's model is the first",
            )
    return None


def versions(mlflow_client: MlflowClient, model: str) -> dict[str, dict[str, str]]:
    """Version → its tags, oldest first."""
    quoted = model.replace("'", "''")
    rows: list[Any] = []
    token = None
    while True:
        page = mlflow_client.search_model_versions(f"name = '{quoted}'", page_token=token)
        rows += page
        token = page.token
        if not token:
            return {str(v.version): dict(v.tags) for v in sorted(rows, key=lambda v: int(v.version))}


def find(mlflow_client: MlflowClient, model: str, lineage_key: str) -> str | None:
    """The newest version made from this very lineage, or None."""
    same = [n for n, tags in versions(mlflow_client, model).items() if tags.get("lineage_key") == lineage_key]
    return same[-1] if same else None


def promote(mlflow_client: MlflowClient, model: str, alias: str, version: str, expected: str | None) -> None:
    """Let `alias` name `version`, if it still names `expected`, the champion the verdict was made against.

    A registry has no compare-and-set: a lock holds off other processes of this checkout, and the check and the step
    lie next to each other.

    Raises:
        TriadError: the alias names another version by now, or the version's signature does not hold.
    """
    with locked("alias"):
        settle(mlflow_client, model, alias)
        serving = current(mlflow_client, model, alias)
        if serving == version:
            return
        if serving != expected:
            raise TriadError(
                f"the verdict was made against {_name(expected)}, but {_name(serving)} serves by now",
                where=f"model {model}, alias {alias}",
                mend="evaluate again, against the present champion: `dvc repro --force --single-item evaluate`, "
                "then `dvc repro`",
                redo="evaluate",
            )
        folder_of(model, version)  # only what was signed may serve
        move(mlflow_client, model, alias, serving, version)


def rollback(model: str, alias: str, to: str | None = None) -> str:
    """Let `alias` name the champion before the present one, or the version `to`; returns what to tell the user.

    A version that was rolled back is not promoted again by publishing it once more. Asked again after it was cut short,
    a rollback is ended and not done twice.

    Raises:
        TriadError: there is no champion, none before it, `to` was never one, or its signature does not hold.
    """
    mlflow_client = client(make=False)
    where = f"model {model}, alias {alias}"
    with locked("alias"):
        earlier = settle(mlflow_client, model, alias)
        if earlier and earlier.back and to in (None, earlier.new):
            return f"{model}@{alias} serves version {earlier.new} now, instead of {earlier.old}."
        serving = current(mlflow_client, model, alias)
        known = versions(mlflow_client, model)
        if serving is None:
            raise TriadError("no version serves", where=where, mend="promote one first: `dvc repro`")
        former = [number for number, tags in known.items() if "promoted_at" in tags and number != serving]
        target = to or known[serving].get("previous_champion")
        if not target:
            raise TriadError(
                f"version {serving} is the first champion: there is none before it",
                where=where,
                mend=f"name one of the former champions with --to: {', '.join(former)}"
                if former
                else "there is nothing to go back to",
            )
        if target == serving:
            mend = "name another version with --to; `triad retraining deliver` makes and delivers its lists"
            raise TriadError(f"version {target} serves already", where=where, mend=mend)
        if target not in former:
            raise TriadError(
                f"version {target} was never champion"
                if target in known
                else f"there is no version {target}; known are {', '.join(known)}",
                where=where,
                mend=f"name a former champion: {', '.join(former) or 'there is none'}",
            )
        folder_of(model, target)
        move(mlflow_client, model, alias, serving, target, back=True)
    return f"{model}@{alias} serves version {target} now, instead of {serving}."


def load_champion(model: str, alias: str) -> ServingModel | Packaged | None:
    """The model that serves, or None where none does yet. One that other code wrote is asked through its package.

    Raises:
        TriadError: the store does not answer or is not the one it was, or the champion cannot be read or is not what
            was signed.
    """
    from triad.tracking.packaged import Packaged, is_of_this_code
    from triad.tracking.serving import load_registered

    version = serving(model, alias)
    if version is None:
        return None
    folder = folder_of(model, version)
    return load_registered(model, version, folder) if is_of_this_code(folder) else Packaged(model, version, folder)


def describe(model: str, version: str) -> Version:
    """A version, by number or alias, with the lineage its run holds.

    Raises:
        TriadError: there is no such version, or its run has no lineage that was signed.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow_client, number = client(make=False), number_of(model, version)
    entry = mlflow_client.get_model_version(model, number)
    try:
        lineage = mlflow.artifacts.load_dict(f"runs:/{entry.run_id}/{LINEAGE_FILE}")
    except (MlflowException, OSError) as error:
        raise TriadError(
            f"its run {entry.run_id} holds no readable {LINEAGE_FILE}",
            where=f"model {model}, version {number}",
            mend="it was not registered by `triad publish`, or the artifact store was moved",
        ) from error
    lineage = signing.opened(lineage, lineage_of(entry.run_id), f"model {model}, version {number}, {LINEAGE_FILE}")
    return Version(model, number, entry.run_id, tuple(entry.aliases), dict(entry.tags), lineage)


def number_of(model: str, version: str) -> str:
    """The number of a version that is named by number or alias.

    Raises:
        TriadError: there is no such version.
    """
    mlflow_client = client(make=False)
    number = (
        version.removeprefix("v") if version.removeprefix("v").isdigit() else current(mlflow_client, model, version)
    )
    known = versions(mlflow_client, model)
    if number is None or number not in known:
        raise TriadError(
            f"no version or alias {version!r}; known versions are {', '.join(known) or 'none'}",
            where=f"model {model}",
            mend="name one of them, or an alias such as champion",
        )
    return number


def lineage_of(run_id: str) -> str:
    """What a lineage's signature is of."""
    return f"lineage of run {run_id}"


def tag(mlflow_client: MlflowClient, model: str, version: str, tags: Mapping[str, str]) -> None:
    """Write `tags` on a version."""
    for name, value in tags.items():
        mlflow_client.set_model_version_tag(model, version, name, value)


def explain(mlflow_client: MlflowClient, model: str, alias: str, version: str, words: str) -> None:
    """Describe `version` by `words`, and the model once; what a person wrote there stays."""
    before = mlflow_client.get_model_version(model, version).description
    if not before or before.startswith(words[:2]):
        mlflow_client.update_model_version(model, version, words)
    if not mlflow_client.get_registered_model(model).description:
        about = (
            f"One version a night; `{alias}` names the one that serves. `triad rollback` brings back the one before."
        )
        mlflow_client.update_registered_model(model, about)


def _name(version: str | None) -> str:
    return "no champion" if version is None else f"version {version}"
