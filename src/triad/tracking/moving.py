"""Moves the alias that names the serving version. A kill at any moment leaves a correct history.

What is about to happen is noted on the model, the alias moves, tags of the versions tell it, and the note goes. The
alias is the one step that counts: `settle` writes the tags of a move that was cut short behind it, and drops the note
of one that was cut short before it. Hold the lock `alias` around both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NOTE = "moving."


@dataclass(frozen=True)
class Move:
    """From one version (None: from none) to another; `back` where it is a rollback."""

    old: str | None
    new: str
    back: bool
    at: str


def move(mlflow_client: MlflowClient, model: str, alias: str, old: str | None, new: str, *, back: bool = False) -> None:
    """Let `alias`, which names `old`, name `new`, and write both versions' history."""
    note = Move(old, new, back, datetime.now(UTC).isoformat(timespec="milliseconds"))
    mlflow_client.set_registered_model_tag(model, _NOTE + alias, json.dumps(asdict(note)))
    mlflow_client.set_registered_model_alias(model, alias, new)
    settle(mlflow_client, model, alias)


def settle(mlflow_client: MlflowClient, model: str, alias: str) -> Move | None:
    """End the move that was cut short, if one was; returns it where the alias had moved by then.

    A version that serves without a history (somebody moved the alias by hand) gets one: since now, after the version
    that it was compared with.
    """
    happened = None
    with _unless_gone():
        entry = mlflow_client.get_registered_model(model)
        serving, noted = str(entry.aliases.get(alias) or ""), entry.tags.get(_NOTE + alias)
        note = Move(**json.loads(noted)) if noted else None
        happened = note if note and note.new == serving else None
        if happened:
            _write(mlflow_client, model, happened)
        elif serving and "promoted_at" not in (tags := mlflow_client.get_model_version(model, serving).tags):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            _write(mlflow_client, model, Move(tags.get("compared_with"), serving, False, now))
        if note:
            mlflow_client.delete_registered_model_tag(model, _NOTE + alias)
    return happened


def _write(mlflow_client: MlflowClient, model: str, made: Move) -> None:
    if not made.back:
        if made.old is not None:
            mlflow_client.set_model_version_tag(model, made.new, "previous_champion", made.old)
        mlflow_client.set_model_version_tag(model, made.new, "promoted_at", made.at)
        return
    if made.old is not None:
        with _unless_gone():
            mlflow_client.set_model_version_tag(model, made.old, "rolled_back_at", made.at)
    if "rolled_back_at" in mlflow_client.get_model_version(model, made.new).tags:
        mlflow_client.delete_model_version_tag(model, made.new, "rolled_back_at")


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Passes over a model or a version that is not there (any more)."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
