"""Removes old runs from the disk by the rule in docs/retraining.md."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triad import removal, worktree
from triad.durable import remove, sweep
from triad.errors import TriadError
from triad.locking import held
from triad.retraining import delivery, process_group, retention
from triad.retraining.run import CLOSED, MARK, RECORD, Run, checkout, exclusive, workspaces
from triad.retraining.seeding import BRANCHES
from triad.tracking import retained
from triad.worktree import git

log = logging.getLogger("triad.retraining")


@dataclass(frozen=True)
class Further:
    """What goes only where a dial says so; None: it stays."""

    branch_days: int | None = None
    versions: int | None = None
    run_days: int | None = None
    remote: str | None = None


def prune(keep_days: int, keep: int, further: Further = Further(), *, dry: bool = False) -> dict[str, Any]:
    """Remove what the rule does not keep; returns what went, or with `dry` what would go."""
    here = checkout()
    with exclusive(here, "open"):
        if not dry:
            sweep(workspaces(here))
        gone: dict[str, Any] = {"workspaces": _workspaces(here, keep_days, keep, dry)}
        gone["deliveries"] = _deliveries(delivery.place(here), keep_days, dry)
        gone |= _registered(here, further, dry)
        branches = gone.get("branches", [])
        gone["cached_objects"] = _cache(here, keep_days, branches, dry)
        if further.remote is not None:
            gone["remote_objects"] = retention.remote(here, further.remote, branches, dry=dry)
    return gone | {"dry": True} if dry else gone


def _registered(here: Path, further: Further, dry: bool) -> dict[str, Any]:
    """Versions, runs and branches, as far as asked for."""
    if (further.branch_days, further.versions, further.run_days) == (None, None, None):
        return {}
    gone = {}
    with retained.unmoved(here) as known:
        if further.branch_days is not None:
            gone["branches"] = retention.branches(here, further.branch_days, known.branches(), dry=dry)
        if further.versions is not None:
            gone["versions"] = retained.versions(known, further.versions, dry=dry)
        if further.run_days is not None:
            gone["runs"] = retained.runs(known, further.run_days, gone.get("versions", []), dry=dry)
    if gone.get("versions") or gone.get("runs"):
        log.info("MLflow keeps what was deleted until `mlflow gc` runs where its store is")
    return gone


def _workspaces(here: Path, keep_days: int, keep: int, dry: bool = False) -> list[str]:
    runs = sorted(_runs(here), key=lambda run: _age(run.folder))
    newest = [run for run in runs if run.closed][:keep]
    gone = []
    for run in runs:
        over = run not in newest if run.closed else _age(run.folder) > keep_days
        if over and (dry or _remove(run, here)):
            gone.append(run.folder.name)
    return gone


def _runs(here: Path) -> Iterator[Run]:
    """The runs whose workspaces were made of this checkout; others' may lie beside them."""
    for record in sorted(workspaces(here).glob(f"*/{RECORD}")):
        try:
            run = Run.read(record.parents[1])
        except TriadError as error:
            log.warning("left as it is · %s", error)
            continue
        if run.checkout == str(here):
            yield run


def _age(folder: Path) -> float:
    """Days since anything was done in a workspace."""
    marks = [path for path in (folder / RECORD, folder / CLOSED, folder / ".triad" / "in_use.lock") if path.exists()]
    return (time.time() - max(path.stat().st_mtime for path in marks)) / 86400


def _remove(run: Run, here: Path) -> bool:
    with (run.folder / ".triad" / "in_use.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s is in use", run.folder)
            return False
        if process_group.marked(MARK, run.workspace):
            log.info("%s: processes of a killed attempt are at work there", run.folder)
            return False
        try:
            worktree.remove(here, run.folder, workspaces(here))
        except TriadError as error:  # somebody's work lies in it
            log.warning("left as it is · %s", error)
            return False
    log.info("%s removed", run.folder)
    return True


def _deliveries(place: Path, keep_days: int, dry: bool = False) -> list[str]:
    if not place.is_dir():
        return []
    gone = []
    with held(place / delivery.CURRENT, wait=True):
        if not dry:
            sweep(place)
        for fresh in [] if dry else place.glob(".*.new"):  # of a delivery that was killed
            if delivery.NAME.fullmatch(fresh.name[1:].removesuffix(".new")) and not fresh.is_symlink():
                remove(fresh)
        current = (place / delivery.CURRENT).resolve()
        for folder in place.glob("*-v*-*"):
            old = time.time() - folder.lstat().st_mtime > keep_days * 86400
            if folder != current and old and delivery.is_delivery(folder):
                if not dry:
                    removal.remove(folder, below=place, mark=folder / delivery.SUMMARY)
                gone.append(folder.name)
    return sorted(gone)


def _cache(here: Path, keep_days: int, gone_branches: Collection[str] = (), dry: bool = False) -> int:
    """Drop from the shared cache what no checkout, no recent night and no other branch or tag needs; returns how much.

    `dvc gc` can name one revision, or all branches, but not "all but the old nights".
    """
    from dvc.repo import Repo
    from dvc_data.hashfile.gc import gc

    used, gone, own = set(), 0, (here / ".dvc").resolve()
    with ExitStack() as stack:
        repos = [
            Repo(str(folder), _wait_for_lock=True) for folder in worktree.every(here) if (folder / ".dvc").is_dir()
        ]
        for repo in repos:
            stack.enter_context(repo)
            stack.enter_context(repo.lock)  # none of them may be between storing outputs and naming them in its lock
        for repo, revisions in zip(
            repos, [_revisions(here, keep_days, gone_branches), *[None] * len(repos)], strict=False
        ):
            for objects in repo.used_objs(revs=revisions, all_experiments=revisions is not None).values():
                used |= objects
        for _, store in repos[0].cache.by_scheme():
            if store is None:
                continue
            if not Path(store.path).resolve().is_relative_to(own):
                log.warning("%s lies outside the checkout and may be others' too: left as it is (`dvc gc`)", store.path)
                continue
            gone += gc(store, used, dry=dry) or 0
    log.info("%d objects of the cache removed", gone)
    return gone


def _revisions(here: Path, keep_days: int, gone: Collection[str]) -> list[str]:
    """Heads of branches and tags and the last stash, without the nights that are too old or `gone`."""
    named = ("refs/heads", "refs/tags", "refs/stash")
    shown = git(here, "for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)", *named)
    oldest, commits = time.time() - keep_days * 86400, []
    for line in shown.splitlines():
        *stamp, commit, name = line.split()
        short = name.removeprefix("refs/heads/")
        if not (short in gone or (short.startswith(f"{BRANCHES}/") and int(stamp[0]) < oldest)):
            commits.append(commit)
    return commits
