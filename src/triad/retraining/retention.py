"""Retention of the branches `retrain/*` and of a DVC remote, by dials that are off by default."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from triad.errors import TriadError
from triad.retraining.branch import MARK
from triad.retraining.seeding import BRANCHES
from triad.worktree import every, git

log = logging.getLogger("triad.retraining")
_DAY = 86400


def branches(here: Path, keep_days: int, needed: Collection[str], *, dry: bool) -> list[str]:
    """Delete older branches of nights, but for the newest, those checked out, those `needed`, and those that hold
    somebody's commits.
    """
    form = "--format=%(committerdate:unix) %(objectname) %(refname:short)"
    lines = git(here, "for-each-ref", "--sort=-committerdate", form, f"refs/heads/{BRANCHES}/").splitlines()
    listed = [line.split(" ", 2) for line in lines]
    out = {
        line.removeprefix("branch refs/heads/")
        for line in git(here, "worktree", "list", "--porcelain").splitlines()
        if line.startswith("branch ")
    }
    stays, oldest = {*out, *needed}, time.time() - keep_days * _DAY
    gone = [(name, commit) for stamp, commit, name in listed[1:] if int(stamp) < oldest and name not in stays]
    gone = [(name, commit) for name, commit in gone if MARK in git(here, "show", "--no-patch", "--format=%B", commit)]
    for name, commit in [] if dry else gone:
        git(here, "update-ref", "-d", f"refs/heads/{name}", commit)
    return [name for name, _ in gone]


def remote(here: Path, name: str, gone: Collection[str], *, dry: bool) -> int:
    """Delete from the remote `name` what no branch, tag, experiment, pushed branch or worktree names; returns how much.

    Raises:
        TriadError: there is no such remote, it does not answer, or it cannot be said what is needed.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.db import get_index
    from dvc_data.hashfile.gc import gc

    form = "--format=%(objectname) %(refname)"
    heads = git(here, "for-each-ref", form, "refs/heads", "refs/tags", "refs/remotes").splitlines()
    revisions = [
        commit for commit, ref in (line.split(" ", 1) for line in heads) if ref.removeprefix("refs/heads/") not in gone
    ]
    where = f"remote {name}"
    try:
        used: set[Any] = set()
        with Repo(str(here), _wait_for_lock=True) as repo, repo.lock:
            store = repo.cloud.get_remote_odb(name)
            for objects in repo.used_objs(revs=revisions, all_experiments=True, remote=name).values():
                used |= objects
            for folder in every(here):
                if (folder / ".dvc").is_dir():
                    with Repo(str(folder)) as other:
                        for objects in other.used_objs(remote=name).values():
                            used |= objects
            removed = gc(store, used, dry=dry) or 0
            if removed and not dry:
                get_index(store).clear()
    except (DvcException, OSError) as error:
        mend = "correct its settings, or bring what its branches name (`dvc fetch --all-branches`); nothing was removed"
        raise TriadError(str(error) or type(error).__name__, where=where, mend=mend, transient=True) from error
    log.info("%d objects of the remote %s removed", removed, name)
    return removed
