"""What of a registry may go by dials that are off unless set.

Never: a version that an alias names, the one before it (for `rollback`), and what these started from.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from triad.config.params import read
from triad.config.publish import PublishParams
from triad.errors import TriadError
from triad.tracking.place import is_there, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("triad.retraining")
_DAY = 86400


def needed(tags: Mapping[str, Mapping[str, str]], served: Collection[str], starts: Mapping[str, str]) -> set[str]:
    """The versions that must stay: those `served`, the ones before them, and what all of these started from.

    Args:
        tags: version → its tags.
        served: versions that an alias names.
        starts: version → the version it started from.
    """
    kept = set(served) | {tags[one]["previous_champion"] for one in served if "previous_champion" in tags.get(one, {})}
    todo = list(kept)
    while todo:
        source = starts.get(todo.pop())
        if source is not None and source not in kept:
            kept.add(source)
            todo.append(source)
    return kept


@contextmanager
def unmoved(here: Path) -> Iterator[Registry]:
    """The registry of the checkout, in which meanwhile nobody publishes and no alias moves.

    Raises:
        TriadError: it does not answer, or does not say what a version started from.
    """
    from mlflow.exceptions import MlflowException

    from triad.tracking.store import locked

    os.environ["MLFLOW_TRACKING_URI"] = uri = tracking_uri(here)
    with locked("publish"), locked("alias"):
        try:
            yield Registry(here, uri)
        except MlflowException as error:
            mend = "bring the registry back as it was; without its runs nobody can say what is still needed"
            raise TriadError(str(error).splitlines()[0], where=uri, mend=mend) from error


class Registry:
    """The model of a checkout, as its registry knows it; empty where there is none."""

    def __init__(self, here: Path, uri: str) -> None:
        from triad.tracking import registry
        from triad.tracking.store import client

        settings = PublishParams(**(read(here / "params.yaml").get("publish") or {}))
        self.model, self.experiment = settings.model, settings.experiment
        self.client: MlflowClient | None = client(make=False) if is_there(uri) else None
        self.tags: dict[str, dict[str, str]] = {}
        self.needed: set[str] = set()
        if self.client is not None and (served := registry.aliases(self.client, self.model)) is not None:
            self.tags = registry.versions(self.client, self.model)
            self.needed = needed(self.tags, set(map(str, served.values())), self._starts())

    def _starts(self) -> dict[str, str]:
        assert self.client is not None
        starts = {}
        for number in self.tags:
            params = self.client.get_run(self.client.get_model_version(self.model, number).run_id).data.params
            inits = (params.get("pretrain.init"), params.get("finetune.init"))
            if "champion" in inits and (source := params.get("champion.version", "None")) != "None":
                starts[number] = str(source)
            if source := self.tags[number].get("goes_on_from"):  # which knows what it started from itself
                starts[number] = source
        return starts

    def branches(self) -> set[str]:
        """The branches that keep the nights of versions that must stay."""
        return {self.tags[one]["branch"] for one in self.needed if "branch" in self.tags.get(one, {})}


def versions(known: Registry, keep: int, *, dry: bool) -> list[str]:
    """Delete all versions but the newest `keep` and those that must stay, with their runs; returns what went."""
    newest = set(list(known.tags)[len(known.tags) - min(keep, len(known.tags)) :])
    gone = [number for number in known.tags if number not in newest | known.needed]
    if known.client is None or dry:
        return gone
    for number in gone:
        entry = known.client.get_model_version(known.model, number)
        known.client.delete_model_version(known.model, number)
        if model_id := getattr(entry, "model_id", None):
            known.client.delete_logged_model(model_id)
        known.client.delete_run(entry.run_id)
        log.info("version %s and its run deleted", number)
    return gone


def runs(known: Registry, keep_days: int, gone: Collection[str], *, dry: bool) -> list[str]:
    """Delete older runs of the experiment that no version stands on; returns their ids."""
    experiment = known.client and known.client.get_experiment_by_name(known.experiment)
    if known.client is None or experiment is None:
        return []
    there = known.tags if dry else [number for number in known.tags if number not in gone]
    stays = {known.client.get_model_version(known.model, number).run_id for number in there}
    oldest, old_runs, token = (time.time() - keep_days * _DAY) * 1000, [], None
    while True:
        page = known.client.search_runs(
            [experiment.experiment_id], filter_string=f"attributes.start_time < {int(oldest)}", page_token=token
        )
        old_runs += [run.info.run_id for run in page if run.info.run_id not in stays]
        token = page.token
        if not token:
            break
    for run_id in [] if dry else old_runs:
        known.client.delete_run(run_id)
    return old_runs
