"""Prints the whole map of a person, place by place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from triad.privacy import learned, shown_log, whereabouts
from triad.privacy.looking import Names
from triad.tracking import place
from triad.tracking.store import client


def show(here: Path, ids: list[str]) -> bool:
    """Print where these persons lie; returns whether they lie anywhere."""
    names, is_known = Names.of(ids), False
    for spot in _places(here, names):
        if not is_known:
            click.echo("They still lie here (docs/privacy.md):")
        is_known = True
        click.echo(f"  {spot.name} · {spot.holds}\n      {spot.mend}")
    click.echo(
        "What others took away (backups, pushed branches, logs, the shop's own files) is not looked at."
        if is_known
        else "They were found nowhere. Are the ids spelled as in users.user_id?"
    )
    return is_known


def _places(here: Path, names: Names) -> Iterator[whereabouts.Place]:
    if (log := shown_log.folder_of(here)) is not None:
        meant = set(names.exact.to_pylist())
        if lines := shown_log.count(log, meant.__contains__):
            mend = "`triad forget` takes lines of earlier days out; ask it again tomorrow"
            yield whereabouts.Place(f"what the service showed, {log}", f"lines ({lines:,})", mend)
    held = whereabouts.Stored({}, frozenset())
    if (here / ".git").exists():
        yield from whereabouts.folders(here, names)
        yield from whereabouts.days(here, names)
        if (here / ".dvc").is_dir():
            held = whereabouts.stored(here, names)
            yield from whereabouts.kept(here, held)
            yield from whereabouts.remotes(here, held)
    os.environ["MLFLOW_TRACKING_URI"] = uri = place.tracking_uri(here)
    if place.is_there(uri):
        mlflow_client = client(make=False)
        yield from learned.versions(mlflow_client, names, held)
        yield from learned.runs(mlflow_client, names)
