"""`triad serve`: the service as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

KEY = "TRIAD_SERVE_KEY"
"""The environment variable that holds what requests must bring as X-API-Key."""
SETTINGS = "TRIAD_SERVE_SETTINGS"
"""How a worker learns what `triad serve` was asked: tables, seconds between looks, whether the page is wanted."""


@click.command(
    help="Answer over HTTP from the registered champion and a night's tables. With TRIAD_SERVE_KEY set, each request "
    "needs that key. Guide: docs/serving.md."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8400, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="processes")
@click.option("--tables", type=click.Path(path_type=Path), default=None, help="folder of a night's validated tables")
@click.option("--poll", default=5.0, show_default=True, type=click.FloatRange(0.1, 3600), help="seconds between looks")
@click.option("--demo", is_flag=True, help="also a page to try it on")
def serve(*, host: str, port: int, workers: int, tables: Path | None, poll: float, demo: bool) -> None:
    import json

    import uvicorn

    from triad.artifacts import TABLES
    from triad.errors import TriadError

    if host not in ("127.0.0.1", "::1", "localhost") and not os.environ.get(KEY):
        raise TriadError(
            "others could ask without a key", where=f"--host {host}", mend=f"set {KEY}, or keep to 127.0.0.1"
        )
    # one customer's arrays are small: threads would only wait for one another
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ[SETTINGS] = json.dumps({"tables": str(tables or TABLES), "poll": poll, "demo": demo})
    if demo:
        click.echo(f"Triad's page is at http://{host}:{port}/ in a moment; Ctrl-C stops it.")
    uvicorn.run(
        "triad.serving.commands:app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=256,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=16_384,
    )


def app() -> Any:
    """A worker's service."""
    import json
    import logging

    from triad.artifacts import ARTIFACTS
    from triad.config.params import load
    from triad.serving.app import make
    from triad.serving.holder import Holder, Place

    logging.getLogger("triad").setLevel(logging.INFO)
    asked, params = json.loads(os.environ[SETTINGS]), load()
    place = Place(params.publish.model, params.publish.alias, Path(asked["tables"]), params.recommend)
    holder, writer = Holder(place.mark, place.load), ARTIFACTS / "describe" / "writer"
    key = os.environ.get(KEY) or None
    return make(holder, key=key, poll=asked["poll"], demo=asked["demo"], writer=writer)
