"""What the page shows a merchant: versions, lineage, the night's report; and the way back to an earlier champion.

A rollback needs the service's key even on the machine itself: it changes what the shop's customers see.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import StringConstraints

from triad.errors import TriadError
from triad.serving.refusals import UnknownError, refused
from triad.serving.schemas import Request
from triad.tracking import lineage, registry
from triad.tracking.store import client

LOG = logging.getLogger("triad.serve")
Number = Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")]
Version = Annotated[str, Path(pattern=r"^\d{1,9}$")]
SHOWN = ("verdict", "as_of", "learned_until", "promoted_at", "rolled_back_at", "compared_with", "previous_champion")
"""Tags of a version that a merchant reads."""
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""The report was written by a night and not by this service: it runs no script and reaches nothing."""


class RollBack(Request):
    """`instead_of` is the version that serves as whoever asks saw it; `to` null: the champion before it."""

    instead_of: Number
    to: Number | None = None


@dataclass
class Merchant:
    """Of the registered `model`, whose `alias` names what serves.

    Args:
        back: `roll_back` of `retraining/back.py`.
        has_key: whether requests must bring a key, without which nothing can be rolled back.
    """

    model: str
    alias: str
    back: Callable[[str, str, str | None], Iterator[str]]
    has_key: bool
    delivery: str | None = None  # how far the lists of the last rollback are
    lock: threading.Lock = field(default_factory=threading.Lock)

    def versions(self) -> list[dict[str, Any]]:
        """Newest first."""
        mlflow_client = client(make=False)
        serves = registry.current(mlflow_client, self.model, self.alias)
        known = registry.versions(mlflow_client, self.model)
        return [
            {"version": number, "serves": number == serves, **{name: tags.get(name) for name in SHOWN}}
            for number, tags in reversed(known.items())
        ]

    def report(self, version: str) -> str:
        """The report of the night that made `version`.

        Raises:
            UnknownError: it holds none.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        run = registry.describe(self.model, version).run_id
        try:
            return str(mlflow.artifacts.load_text(f"runs:/{run}/report.html"))
        except (MlflowException, OSError) as error:
            raise UnknownError("has no report", where="version", mend="a light night writes none") from error

    def roll_back(self, asked: RollBack) -> str:
        """Move the alias, and begin to make the lists; returns what to tell the merchant.

        Raises:
            TriadError: another version serves by now, lists are being made, or there is no such champion.
        """
        serves = registry.current(client(make=False), self.model, self.alias)
        if serves != asked.instead_of:
            raise TriadError("another version serves by now", where="instead_of", mend="look again, then decide")
        if not self.lock.acquire(blocking=False):
            raise TriadError("lists of the last rollback are being made", where="rollback", mend="wait for them")
        try:
            steps = self.back(self.model, self.alias, asked.to)
            told = next(steps)
        except BaseException:
            self.lock.release()
            raise
        self.delivery = "Its lists are being made."
        threading.Thread(target=self._deliver, args=(steps,), name="triad-rollback", daemon=True).start()
        return told

    def _deliver(self, steps: Iterator[str]) -> None:
        try:
            self.delivery = "; ".join(steps)
        except (TriadError, OSError) as error:
            LOG.error("%s", error)
            self.delivery = str(error)
        finally:
            self.lock.release()


def add(app: FastAPI, merchant: Merchant, said: Callable[..., JSONResponse]) -> None:
    """The paths.

    Args:
        said: what an answer says beside its own.
    """

    @app.get("/merchant", include_in_schema=False)
    def overview() -> JSONResponse:
        return said(
            model=merchant.model,
            versions=merchant.versions(),
            may_roll_back=merchant.has_key,
            delivery=merchant.delivery,
        )

    @app.get("/merchant/why/{number}", include_in_schema=False)
    def why(number: Version) -> PlainTextResponse:
        return PlainTextResponse(lineage.why(number, merchant.model))

    @app.get("/merchant/report/{number}", include_in_schema=False)
    def report(number: Version) -> HTMLResponse:
        return HTMLResponse(merchant.report(number), headers={"Content-Security-Policy": REPORT_POLICY})

    @app.post("/merchant/rollback", include_in_schema=False)
    def rollback(body: RollBack) -> JSONResponse:
        if not merchant.has_key:
            mend = "start the service with TRIAD_SERVE_KEY, or run `triad rollback`"
            return refused(403, "without a key nobody rolls back here", "service", mend)
        return said(told=merchant.roll_back(body), delivery=merchant.delivery)
