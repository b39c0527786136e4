"""A run: its workspace, and the record in it that later commands read."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from triad.artifacts import ARTIFACTS, read_json, recover, write_json
from triad.errors import TriadError
from triad.locking import held
from triad.paths import entry
from triad.removal import checked_name, checked_part
from triad.tracking import place

RECORD = place.RECORD
CLOSED = Path(".triad") / "closed.json"
_LONGEST = 120  # characters of a workspace's name: its path stands in many others
MARK = "TRIAD_RUN_STAGE"
"""Environment variable of all that a stage starts: `workspace:stage`."""


@dataclass(frozen=True)
class Run:
    """An opened run. `seed` is the branch of the earlier night whose finished stages this one may reuse; `night` is
    full or light.
    """

    run_id: str
    as_of: str
    revision: str
    trigger: str
    checkout: str
    workspace: str
    seed: str | None
    opened_at: str
    night: str = "full"

    @property
    def folder(self) -> Path:
        return Path(self.workspace)

    def write(self) -> None:
        write_json(self.folder / RECORD, asdict(self))

    @classmethod
    def read(cls, workspace: Path) -> Run:
        """The run in `workspace`.

        Raises:
            TriadError: none was opened there, or the folder was copied or moved since.
        """
        path = workspace.resolve() / RECORD
        if not path.is_file():
            raise TriadError("no run was opened here", where=str(workspace), mend="`triad retraining open RUN_ID …`")
        run = cls(**read_json(path))
        if run.folder != path.parents[1]:
            mend = "work in that folder, or start a new run"
            raise TriadError(f"its record is of {run.workspace}", where=str(path.parents[1]), mend=mend)
        return run

    def environment(self, stage: str | None = None) -> dict[str, str]:
        """What the run's processes find around them: the checkout's registry, this Python's programs, who asked."""
        mark = {} if stage is None else {MARK: f"{self.workspace}:{stage}", "TRIAD_FAILURE": str(self.failure(stage))}
        path = [entry(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        return {
            **os.environ,
            "MLFLOW_TRACKING_URI": place.tracking_uri(Path(self.checkout)),
            "TRIAD_CHECKOUT": self.checkout,
            "TRIAD_TRIGGER": self.trigger_with_run,
            "PATH": os.pathsep.join(path),
            **mark,
        }

    @property
    def trigger_with_run(self) -> str:
        """Who or what asked for it, with its run: the `trigger` of a version that it makes."""
        return self.trigger if self.run_id in self.trigger else f"{self.trigger}, run {self.run_id}"

    def failure(self, stage: str) -> Path:
        """Where a stage leaves the error that stopped it."""
        return self.folder / ".triad" / "failures" / f"{checked_part(stage, 'stage')}.json"

    @property
    def closed(self) -> bool:
        return (self.folder / CLOSED).is_file()


def checkout() -> Path:
    """The repository that nights are made from: TRIAD_CHECKOUT, else the present folder.

    Raises:
        TriadError: no pipeline lies there.
    """
    folder = Path(os.environ.get("TRIAD_CHECKOUT", ".")).resolve()
    if not ((folder / "dvc.yaml").is_file() and (folder / ".git").exists()):
        mend = "set TRIAD_CHECKOUT to the checkout, or run inside it"
        raise TriadError("no git checkout with a dvc.yaml", where=str(folder), mend=mend)
    return folder


def workspaces(of: Path) -> Path:
    """The folder of all workspaces."""
    return Path(os.environ.get("TRIAD_WORKSPACES") or of / "runs" / "retraining").resolve()


def slug(run_id: str) -> str:
    """`run_id` as a folder's name; where letters had to go, a hash keeps it apart from others.

    Raises:
        TriadError: no run may be called so.
    """
    checked_name(run_id, "RUN_ID")
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", run_id).strip("-.")[:_LONGEST]
    return plain if plain == run_id else f"{plain or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """One process at a time; the others wait."""
    with held(folder / ".triad" / name, wait=True):
        yield


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Says to `prune` that this workspace is worked in; the stages of one run share it.

    Raises:
        TriadError: `prune` has removed it.
    """
    path = folder / ".triad" / "in_use.lock"
    removed = TriadError("the workspace was removed", where=str(folder), mend="`triad retraining open` makes one")
    try:
        handle = path.open("w")
    except FileNotFoundError as error:
        raise removed from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        if not (path.exists() and os.path.samestat(path.stat(), os.fstat(handle.fileno()))):  # while we waited
            raise removed
        recover(folder / ARTIFACTS)
        yield


def say(values: dict[str, object]) -> None:
    """Print `values` as one line for the caller to read."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
