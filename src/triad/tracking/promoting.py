"""A person's commands for the registry: promote a version that passed, and start a new registry."""

from __future__ import annotations

from triad.errors import TriadError
from triad.tracking import registry
from triad.tracking.place import experiment
from triad.tracking.store import client


def promote(model: str, alias: str, version: str) -> str:
    """Let `alias` name a version that passed against the present champion; returns what to tell the user.

    So the result of an experiment comes to serve. Where the alias is gone, a version that has served serves again.

    Raises:
        TriadError: there is no such version, it did not pass, it was rolled back, or its verdict was made against
            another champion than the present one; or an experiment asks.
    """
    where = f"model {model}, version {version}"
    if (name := experiment()) is not None:
        raise TriadError(f"the experiment {name} promotes nothing", where=where, mend="promote it outside of one")
    mlflow_client = client(make=False)
    known = registry.versions(mlflow_client, model)
    if version not in known:
        raise TriadError(
            f"there is no such version; known are {', '.join(known) or 'none'}",
            where=where,
            mend="name one of them by its number",
        )
    tags, present = known[version], registry.current(mlflow_client, model, alias)
    if present == version:
        return f"{model}@{alias} serves version {version} already."
    if "rolled_back_at" in tags:
        raise TriadError("it was rolled back", where=where, mend=f"`triad rollback --to {version}` brings it back")
    restored = present is None and "promoted_at" in tags
    if not restored and tags.get("verdict") != "PASS":
        raise TriadError(
            f"its verdict is {tags.get('verdict', 'not known')}",
            where=where,
            mend="a version serves only on a PASS: make a better one; `triad why` says what held this one back",
        )
    registry.promote(mlflow_client, model, alias, version, None if restored else tags.get("compared_with"))
    return f"{model}@{alias} serves version {version} now, instead of {present or 'none'}."


def begin(model: str) -> str:
    """Register `model` without a version, so that its next night is a first one; returns what to tell the user."""
    mlflow_client = client()
    if (versions := registry.aliases(mlflow_client, model)) is not None:
        serving = ", ".join(f"{alias}: version {number}" for alias, number in versions.items()) or "no version serves"
        return f"Model {model} is registered already ({serving}): nothing was changed."
    mlflow_client.create_registered_model(model)
    return f"Model {model} begins anew: tonight's is its first."
