"""`triad serve`: the service as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from uvicorn.config import Config

    from triad.config.serve import ServeParams
    from triad.serving.holder import Holder, Place, Served
    from triad.serving.impressions import ImpressionLog
    from triad.serving.trial import Trial

KEY = "TRIAD_SERVE_KEY"
"""The environment variable that holds what requests must bring as X-API-Key."""
SETTINGS = "TRIAD_SERVE_SETTINGS"
"""How a worker learns what `triad serve` was asked: tables, seconds between looks, whether the page is wanted."""

HUNG = 60
"""Seconds after which a worker that says nothing is ended and started anew; loading libraries can hold it for some."""


@click.command(
    help="Answer over HTTP from the registered champion and a night's tables. With TRIAD_SERVE_KEY set, each request "
    "needs that key. Guide: docs/serving.md."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8400, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="processes")
@click.option(
    "--tables",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of a night's validated tables, in place of the newest night's",
)
@click.option("--poll", default=5.0, show_default=True, type=click.FloatRange(0.1, 3600), help="seconds between looks")
@click.option("--demo", is_flag=True, help="also a page to try it on")
def serve(*, host: str, port: int, workers: int, tables: Path | None, poll: float, demo: bool) -> None:
    import json
    import sys

    from triad.errors import TriadError

    if host not in ("127.0.0.1", "::1", "localhost") and not os.environ.get(KEY):
        raise TriadError(
            "others could ask without a key", where=f"--host {host}", mend=f"set {KEY}, or keep to 127.0.0.1"
        )
    # one customer's arrays are small: threads would only wait for one another
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ[SETTINGS] = json.dumps({"tables": tables and str(tables), "poll": poll, "demo": demo})
    if demo:
        click.echo(f"Triad's page is at http://{host}:{port}/ in a moment; Ctrl-C stops it.")
    if not supervised("triad.serving.commands:app", host, port, workers):
        sys.exit(1)


def supervised(target: str, host: str, port: int, workers: int) -> bool:
    """Serve what `target` makes, and start again what dies, until somebody ends it; False where none could start."""
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    config = configured(target, factory=True, host=host, port=port, workers=workers)
    supervisor = Multiprocess(config, sockets=[config.bind_socket()])
    supervisor.run()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)


def configured(target: Any, **more: Any) -> Config:
    """How uvicorn serves `target`: the same whatever else is installed."""
    from uvicorn.config import Config

    from triad.serving.connections import HEAD_BYTES, Connection

    return Config(
        target,
        http=Connection,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=256,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_worker_healthcheck=HUNG,
        **more,
    )


def app() -> Any:
    """A worker's service. Where it cannot start, it tells why, and is not started again."""
    import sys

    from uvicorn.config import STARTUP_FAILURE

    from triad import scratch
    from triad.errors import TriadError

    end_with_supervisor()
    scratch.begin()
    try:
        return _app()
    except TriadError as error:
        sys.stderr.write(f"\nerror · {error}\n")
        sys.stderr.flush()
        os._exit(STARTUP_FAILURE)  # at once: a supervisor that has just asked whether it lives waits for `HUNG` seconds


def end_with_supervisor() -> None:
    """Let this worker end once its supervisor was killed, so that the port is free for the next one."""
    import multiprocessing
    import signal
    import threading

    def follow(parent: Any) -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=follow, args=(parent,), name="triad-supervisor", daemon=True).start()


def _app() -> Any:
    import json
    import logging

    from triad.artifacts import ARTIFACTS
    from triad.config.params import load
    from triad.privacy.pseudonyms import needed_key
    from triad.retraining.back import roll_back
    from triad.retraining.delivery import newest
    from triad.retraining.run import checkout
    from triad.serving.app import make
    from triad.serving.customers import Customers
    from triad.serving.guard import LOCAL
    from triad.serving.holder import Holder, Place
    from triad.serving.merchant import Merchant
    from triad.serving.storefront import NEAR, Demo

    logging.getLogger("triad").setLevel(logging.INFO)
    asked, params = json.loads(os.environ[SETTINGS]), load()
    chosen, hides = params.serve, params.ingest.pseudonymise
    tables = Path(asked["tables"]) if asked["tables"] else None
    place = Place(params.publish.model, params.publish.alias, params.recommend, lambda: newest(checkout()), tables)
    holder, key = Holder(place.mark, place.load, place.refreshed), os.environ.get(KEY) or None
    customers = Customers(
        _log(chosen),
        needed_key("ingest.pseudonymise: true").pseudonym if hides else None,
        _trial(chosen, place, holder),
    )
    writer = ARTIFACTS / "describe" / "writer"
    merchant = Merchant(place.model, place.alias, roll_back, key is not None)
    near = NEAR if key is None else None
    demo = Demo(params.ingest.currency, params.images.folder, merchant, near) if asked["demo"] else None
    hosts = LOCAL if key is None else None
    return make(holder, key=key, poll=asked["poll"], demo=demo, customers=customers, writer=writer, hosts=hosts)


def _log(chosen: ServeParams) -> ImpressionLog | None:
    """Where impressions are written down.

    Raises:
        TriadError: nothing can be written there.
    """
    from triad.errors import TriadError
    from triad.serving.impressions import ImpressionLog

    try:
        return ImpressionLog(Path(chosen.log), chosen.sync, chosen.file_mb << 20) if chosen.log else None
    except OSError as error:
        mend = "name a folder that the service may write to"
        raise TriadError(f"cannot be made: {error.strerror}", where=f"serve.log: {chosen.log}", mend=mend) from error


def _trial(chosen: ServeParams, place: Place, champion: Holder) -> Trial | None:
    """The challenger that the settings name. Whether there is one yet, and whether it can be loaded, costs no start."""
    from triad.serving.holder import Holder
    from triad.serving.trial import NOBODY, Trial

    alias = chosen.trial.alias
    if alias is None or chosen.log is None:
        return None

    def mark() -> tuple[str, ...]:
        version = place.tried(alias)
        return (version, *map(str, place.mark()[1:])) if version else ("",)

    def load(version: str) -> Served:
        return NOBODY if version in ("", champion.now.version) else place.load(version)

    def refreshed(served: Served) -> Served:
        return served if served is NOBODY else place.refreshed(served)

    return Trial(chosen.trial, Holder(mark, load, refreshed, NOBODY), Path(chosen.log) / "trial")
