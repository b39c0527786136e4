"""The model that serves: loaded once, and exchanged for another when the alias moves, with no request lost.

A request takes the present state once and keeps it to its end, so an exchange is one assignment.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import TABLES, read_json
from triad.config.recommend import RecommendParams
from triad.digests import digest
from triad.errors import TriadError
from triad.members.protocol import Keeper
from triad.privacy import forgotten
from triad.privacy.forgotten import Forgotten
from triad.serving import asking, stored, tonight
from triad.serving.asking import Listed
from triad.serving.night import Event, Night, Visit
from triad.serving.tonight import Tonight
from triad.tracking import fetching, registry
from triad.tracking.lineage import SERVED
from triad.tracking.packaged import is_of_this_code
from triad.tracking.serving import ServingModel, load_registered
from triad.tracking.stock import with_stock
from triad.tracking.store import client

LOG = logging.getLogger("triad.serve")
KEPT = 50_000
"""Lists kept of a state."""
AGAIN = 60.0
"""Seconds until a state that could not be loaded is tried once more: each try costs those that are answered time."""
WARM = 3
"""Customers who are answered before the first request: the first answers compile."""


@dataclass(frozen=True)
class Served:
    """A state, its version, and the lock of whoever asks its model: members keep what they read last."""

    version: str
    night: Night
    verdict: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    lists: dict[tuple[int, int, int, bool], Listed] = field(default_factory=dict)  # at most KEPT
    files: Any = None  # kept as long as the state: members are read at first need
    tonight: Tonight | None = None  # the lists that the night made
    tonight_at: int = 0  # when the night made lists, ns
    gone: Forgotten | None = None  # who is to be forgotten

    def recommend(self, visit: Visit, k: int, *, why: bool) -> Listed:
        """`asking.recommend`. A customer who did nothing since has one list until the state goes, and it is kept."""
        if visit.since:
            with self.lock:
                return asking.recommend(visit, k, why=why)
        made = self.tonight if not why and visit.moment == visit.night.moment else None
        if made is not None and (listed := made.of(visit.user, k)) is not None:
            return listed
        key = visit.user, visit.moment, k, why
        if (kept := self.lists.get(key)) is not None:
            return kept
        with self.lock:
            if (kept := self.lists.get(key)) is not None:  # made while this one waited
                return kept
            if len(self.lists) >= KEPT:
                self.lists.clear()
            self.lists[key] = asking.recommend(visit, k, why=why)
            return self.lists[key]


@dataclass(frozen=True)
class Place:
    """Where the model is registered, and the folder whose artifacts are the newest night's."""

    model: str
    alias: str
    settings: RecommendParams
    night: Callable[[], Path]
    tables: Path | None = None  # None: those of the night

    @cached_property
    def _client(self) -> Any:
        return client(make=False)

    def mark(self) -> tuple[str, str, int]:
        """Changes when another version serves, or another night's tables lie there.

        Raises:
            TriadError: no version serves, or the registry does not answer.
        """
        from mlflow.exceptions import MlflowException

        try:  # with one client: to make one takes long, while requests wait
            version = registry.current(self._client, self.model, self.alias)
        except MlflowException as error:
            mend = "start the server that MLFLOW_TRACKING_URI names"
            raise TriadError("the registry does not answer", where=f"model {self.model}", mend=mend) from error
        if version is None:
            raise TriadError(
                "no version serves yet",
                where=f"model {self.model}, alias {self.alias}",
                mend="promote one: `dvc repro`",
            )
        tables = self._tables()
        return version, str(tables), tables.stat().st_mtime_ns if tables.is_dir() else 0

    def tried(self, alias: str) -> str:
        """The version that `alias` lets be tried, "" where there is none, or where it has served since."""
        version = registry.current(self._client, self.model, alias)
        if version is None:
            return ""
        tags = self._client.get_model_version(self.model, version).tags
        return "" if tags.get("promoted_at", "") > tags.get(registry.TRIED, "9") else version

    def _tables(self) -> Path:
        return self.tables or self.night() / TABLES

    def load(self, version: str) -> Served:
        """The state of `version` on the night's tables.

        Raises:
            TriadError: its files or the tables cannot be read, or other code wrote it.
        """
        files = tempfile.TemporaryDirectory(prefix="triad_served_")
        folder = fetching.fetch(self.model, version, Path(files.name) / "files")
        if not is_of_this_code(folder):
            raise TriadError(
                "it was written by other code, which this service does not run",
                where=f"model {self.model}, version {version}",
                mend="check out the commit `triad why` names and serve from there",
            )
        model = load_registered(self.model, version, folder)
        night = self._written(folder, model) or Night.of(model, self._tables(), with_stock(self.settings))
        lineage = registry.describe(self.model, version).lineage
        served = self._without_gone(Served(version, night, dict(lineage.get("verdict", {})), files=files))
        return self.refreshed(warmed(served))

    def refreshed(self, served: Served) -> Served:
        """With the lists that the night has made since, if `served` made them; without who was forgotten since."""
        served = self._without_gone(served)
        folder = self.night() / tonight.FOLDER
        at = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if at == served.tonight_at:
            return served
        lists = tonight.read(folder, served.version, self.settings, served.night)
        LOG.info("the night's lists %s", "are other ones: each is made when asked for" if lists is None else "are read")
        return replace(served, tonight=lists, tonight_at=at)

    def _without_gone(self, served: Served) -> Served:
        """Those on the list of the forgotten are customers whom nobody knows."""
        gone = forgotten.read()
        if served.gone is not None and served.gone.digest == gone.digest:
            return served
        served.night.forget(gone.holds)
        return replace(served, gone=gone, tonight=None, tonight_at=0)

    def _written(self, files: Path, model: ServingModel) -> Night | None:
        """The state that was signed with the version, if it is the one that lies here and is of the tables' night."""
        signed = files / "artifacts" / SERVED.with_suffix(".json").name
        state = self.night() / SERVED
        if not state.is_dir() or not signed.is_file():
            return None
        told = read_json(signed)
        days = [day.name.removeprefix("day=") for day in self._tables().glob("events/day=*")]
        if max(days, default=told["last_day"]) != told["last_day"] or digest(state) != told["digest"]:
            LOG.info("the state in %s is of another night or version: the tables are read", state)
            return None
        try:
            return stored.load(state, model, with_stock(self.settings), self._tables())
        except TriadError as error:
            LOG.warning("%s", error)
            return None


def warmed(served: Served) -> Served:
    """With all that is made at first need, made."""
    night = served.night
    for name in night.model.fused.needed(night.model.fused.weights):
        if isinstance(member := night.model.fused.members[name], Keeper):
            member.keep(night.data)
    night.users, night.items, night.standings, night.groups, night.shelf  # noqa: B018
    length = np.diff(night.data.streams.offsets)
    for user in np.argsort(-length, kind="stable")[:: max(1, len(length) // WARM)].tolist():
        asking.recommend(night.visit(user, [], night.moment), night.settings.k, why=True)
        item = Event(0, 1, night.moment)
        asking.recommend(night.visit(user, [item], night.moment + 1), night.settings.k)
    return served


class Holder:
    """Hands out what serves. `watch` looks for another every `seconds`, on a thread of its own."""

    def __init__(
        self,
        mark: Callable[[], Any],
        load: Callable[[str], Served],
        refreshed: Callable[[Served], Served] = lambda served: served,
        first: Served | None = None,
    ) -> None:
        """`first` is handed out until the first look; None: what serves by now is loaded at once."""
        self._mark, self._load, self._refreshed = mark, load, refreshed
        at: Any = mark() if first is None else None
        self._at = self._refused = at
        self._again = 0.0
        self.now = load(at[0]) if first is None else first
        self._stop = threading.Event()

    def look(self) -> str | None:
        """Exchange the state if another serves by now; the outcome, None where nothing changed.

        Whatever is wrong with another state, and with the registry, the present one goes on, and so does looking.
        """
        at = self._at
        try:
            at = self._mark()
            if at != self._at and not (at == self._refused and time.monotonic() < self._again):
                begun, fresh = time.monotonic(), self._load(at[0])
                self.now, self._at = fresh, at
                LOG.info("version %s serves · %.1f s", fresh.version, time.monotonic() - begun)
                return "loaded"
        except Exception as error:
            self._refused, self._again = at, time.monotonic() + AGAIN
            self._tell(error)
            self._freshen()
            return "failed"
        return self._freshen()

    def _freshen(self) -> str | None:
        try:
            self.now = self._refreshed(self.now)
        except Exception as error:
            self._tell(error)
            return "failed"
        return None

    def _tell(self, error: Exception) -> None:
        """Of errors that are none of Triad's the kind alone: their words may quote the shop's data."""
        said = str(error) if isinstance(error, TriadError | OSError) else type(error).__name__
        LOG.warning("version %s goes on: %s", self.now.version, said)

    def watch(self, seconds: float, note: Callable[[str], None]) -> None:
        """Start looking."""

        def run() -> None:
            while not self._stop.wait(seconds):
                if (outcome := self.look()) is not None:
                    note(outcome)

        threading.Thread(target=run, name="triad-alias", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
