"""`triad online`: begin and end the trial of a challenger, and report on it. Guide: docs/serving.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click


@click.group(help="Try another version beside the one that serves.")
def online() -> None:
    pass


@online.command(name="try", help="Name VERSION the challenger of serve.trial. Services see it at their next look.")
@click.argument("version")
def attempt(version: str) -> None:
    from triad.tracking import registry
    from triad.tracking.fetching import folder_of
    from triad.tracking.store import client, locked

    model, alias = _named()
    number = registry.number_of(model, version)
    folder_of(model, number)  # only what was signed may be shown
    with locked("alias"):
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        client(make=False).set_model_version_tag(model, number, registry.TRIED, now)
        client(make=False).set_registered_model_alias(model, alias, number)
    click.echo(f"{model}@{alias} is version {number}.")


@online.command(help="End the trial: the champion answers everybody.")
def end() -> None:
    from triad.tracking.store import client, locked

    model, alias = _named()
    with locked("alias"):
        client(make=False).delete_registered_model_alias(model, alias)
    click.echo(f"{model}@{alias} is no version: the champion answers everybody.")


@online.command(help="Compare what customers did with what each arm showed them.")
@click.option("--tables", type=click.Path(path_type=Path), default=None, help="folder of a night's validated tables")
def report(tables: Path | None) -> None:
    from triad.artifacts import TABLES
    from triad.config.params import load
    from triad.errors import TriadError
    from triad.serving.online import compare, unseen
    from triad.sources import shown
    from triad.tables import connect

    params = load()
    if params.serve.log is None:
        raise TriadError("is null: nothing was written down", where="serve.log", mend="name a folder, and serve")
    log = Path(params.serve.log)
    click.echo(unseen(log / "trial"))
    with connect(tables or TABLES) as session:
        for line in compare(shown.read(log), session, params.features.attribution_hours, params.evaluate):
            click.echo(str(line))


def _named() -> tuple[str, str]:
    from triad.config.params import load
    from triad.errors import TriadError

    params = load()
    if (alias := params.serve.trial.alias) is None:
        mend = "name one, such as challenger; `triad params serve.trial` explains all of them"
        raise TriadError("is null", where="serve.trial.alias", mend=mend)
    return params.publish.model, alias
