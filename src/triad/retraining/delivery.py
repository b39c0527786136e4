"""Delivers the lists to the shop: one folder per delivery, and the link `current`, which changes in one step."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from triad.artifacts import ARTIFACTS, TABLES, read_json, recover, replacing
from triad.durable import sync
from triad.errors import TriadError
from triad.locking import held
from triad.paths import entry
from triad.retraining.outcome import LISTS
from triad.retraining.run import CLOSED, RECORD, in_use, workspaces
from triad.tracking.place import tracking_uri

CURRENT, SUMMARY = "current", "summary.json"
NAME = re.compile(r"(?P<as_of>\d{4}-\d\d-\d\d)-v(?P<model_version>\d+)-(?P<digest>[0-9a-f]{8,64})")

log = logging.getLogger("triad.retraining")


def place(checkout: Path) -> Path:
    """TRIAD_DELIVERY, else a folder of the checkout."""
    return Path(os.environ.get("TRIAD_DELIVERY") or checkout / ".triad" / "delivered").resolve()


def hand_over(lists: Path, checkout: Path, champion: str | None) -> tuple[str | None, str]:
    """Deliver the folder `lists`; returns where they lie (None where they were held back), and why.

    Lists of another model than the one that serves are held back, and so are lists older than those delivered.
    Handing over the same again changes nothing.
    """
    summary = read_json(lists / "summary.json")
    version, as_of = summary["model_version"], summary["as_of"]
    if version is None:
        return None, "no model has passed yet, so there are no lists"
    if str(version) != str(champion):
        return None, f"the lists are version {version}'s, but version {champion} serves by now"
    target = place(checkout)
    target.mkdir(parents=True, exist_ok=True)
    with held(target / CURRENT, wait=True):
        now = target / CURRENT
        if now.exists() and not now.is_symlink():
            raise TriadError("is no link of Triad's", where=str(now), mend="move it away, or set TRIAD_DELIVERY")
        recover(target)
        if is_whole(now.resolve()):
            last = read_json(now / SUMMARY)
            if last["as_of"] > as_of and str(last["model_version"]) == str(champion):
                return None, f"the lists delivered are newer, as of {last['as_of']}"
        folder = target / f"{as_of}-v{version}-{_digest(lists)}"
        if not is_whole(folder):
            with replacing(folder) as fresh:
                shutil.copytree(lists, fresh, dirs_exist_ok=True)
        link = target / f".{CURRENT}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(now)
        sync(target)
    return str(folder), f"version {version}'s lists as of {as_of}"


def is_delivery(folder: Path) -> bool:
    """Whether Triad delivered `folder`: name and summary tell the same day and version."""
    named = NAME.fullmatch(folder.name)
    if named is None or folder.is_symlink() or not (folder / SUMMARY).is_file():
        return False
    try:
        summary = read_json(folder / SUMMARY)
    except ValueError:  # half of it went: nobody can tell any more
        return False
    return all(str(summary.get(key)) == named[key] for key in ("as_of", "model_version"))


def is_whole(folder: Path) -> bool:
    """Whether a delivery's folder holds what its name says, and not what a killed removal or a power cut left of it."""
    named = NAME.fullmatch(folder.name)
    return named is not None and folder.is_dir() and _digest(folder) == named["digest"]


def renew(checkout: Path) -> str:
    """Make the champion's lists from the newest tables at hand, and deliver them; returns what to tell the user.

    Those are the tables of the closed run of the newest day, else of the checkout itself. Neither is written to.

    Raises:
        TriadError: there are no tables, or the lists could not be made.
    """
    source = newest(checkout)
    with in_use(source) if (source / RECORD).is_file() else nullcontext():
        return _renew(checkout, source)


def _renew(checkout: Path, source: Path) -> str:
    from triad.config.params import read

    recover(source / ARTIFACTS)
    champion = champion_of(checkout, source)
    with tempfile.TemporaryDirectory(prefix="triad-lists-") as scratch:
        folder = Path(scratch)
        shutil.copyfile(source / "params.yaml", folder / "params.yaml")
        (folder / TABLES.parent).mkdir(parents=True)
        (folder / TABLES).symlink_to(source / TABLES, target_is_directory=True)
        environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": tracking_uri(checkout),
            "TRIAD_CHECKOUT": str(checkout),
            "PYTHONPATH": entry(Path(__file__).parents[2]),
        }
        done = subprocess.run([sys.executable, "-m", "triad", "recommend"], cwd=folder, env=environment, check=False)
        if done.returncode:
            raise TriadError(
                "the alias has moved, but the lists could not be made: the shop still shows the other version's",
                where=f"champion {champion}, tables in {source}",
                mend="correct what the log above says, then `triad retraining deliver`",
            )
        delivered_to, why = hand_over(folder / LISTS, checkout, champion)
    as_of = read(source / "params.yaml")["ingest"]["as_of"]
    return (
        f"its lists were made from the tables as of {as_of} in {source}, and delivered to {delivered_to}"
        if delivered_to
        else why
    )


def newest(checkout: Path) -> Path:
    """The closed run of the newest day that still has its tables, the last closed of them; else the checkout itself.

    A backfill of an earlier day, however late it was closed, is older.

    Raises:
        TriadError: neither has any.
    """
    closed = [record.parents[1] for record in workspaces(checkout).glob(f"*/{CLOSED}")]
    closed.sort(key=lambda folder: (_day(folder), (folder / CLOSED).stat().st_mtime), reverse=True)
    for folder in [*closed, checkout]:
        if (folder / TABLES).is_dir():
            return folder
    raise TriadError(
        "no tables are at hand to make lists from",
        where=str(checkout),
        mend="`dvc repro validate`; where the alias has moved, then `triad retraining deliver`",
    )


def _day(folder: Path) -> str:
    """The day of the run in a workspace; the earliest where no record tells it."""
    return str(read_json(folder / RECORD)["as_of"]) if (folder / RECORD).is_file() else ""


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:8]


def champion_of(checkout: Path, workspace: Path, model: str | None = None) -> str | None:
    """The version of `model`, else of the params' own in `workspace`, that serves by the registry of `checkout`."""
    from triad.config.params import read
    from triad.config.publish import PublishParams
    from triad.tracking.registry import serving

    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri(checkout)
    named = PublishParams(**(read(workspace / "params.yaml").get("publish") or {}))
    return serving(model or named.model, named.alias, checkout)
