"""`triad batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triad.errors import TriadError


@click.command(
    help="Ask the registered champion, in MODE (score, search, answer, price, classify or describe), about each row of "
    "REQUESTS (Parquet, a folder of it, or CSV). The answers become the Parquet file ANSWERS. Guide: docs/serving.md."
)
@click.argument("mode")
@click.argument("requests", type=click.Path(path_type=Path))
@click.argument("answers", type=click.Path(path_type=Path))
@click.option(
    "--tables",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of a night's validated tables, in place of the newest night's",
)
@click.option("-k", default=20, show_default=True, type=click.IntRange(1), help="products of a search")
@click.option("--tone", default="plain", show_default=True, help="of texts")
@click.option("--length", default="any", show_default=True, help="of texts")
def batch(mode: str, requests: Path, answers: Path, tables: Path | None, **more: Any) -> None:
    from triad.artifacts import TABLES
    from triad.batch.modes import MODES
    from triad.batch.run import Question
    from triad.batch.run import batch as answer
    from triad.config.params import load
    from triad.retraining.delivery import newest
    from triad.retraining.run import checkout
    from triad.tracking.registry import load_champion
    from triad.tracking.serving import ServingModel

    if mode not in MODES:
        raise TriadError(f"unknown mode {mode!r}", where="MODE", mend=f"ask for {' or '.join(MODES)}")
    params = load()
    publish = params.publish
    model, where = load_champion(publish.model, publish.alias), f"model {publish.model}, alias {publish.alias}"
    if model is None:
        raise TriadError("no version serves yet", where=where, mend="promote one: `dvc repro`")
    if not isinstance(model, ServingModel):
        mend = "check out the commit `triad why` names and ask from there"
        raise TriadError("it was written by other code, which this command does not run", where=where, mend=mend)
    place = tables or (newest(checkout()) / TABLES if MODES[mode].reads_tables else TABLES)
    rows = answer(params, model, Question(mode, requests, place, more), answers)
    click.echo(f"{answers}: answers of version {model.version} to {rows:,} rows")
