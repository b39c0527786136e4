"""Keeps a night in git: one commit on its own branch, made by plumbing, so no checked-out file changes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from triad.errors import TriadError
from triad.retraining.run import Run
from triad.retraining.seeding import BRANCHES
from triad.worktree import git

MARK = "\n\nRun: "
"""In the message of a night's commit, before its run."""
_NOBODY = ("-c", "user.name=triad", "-c", "user.email=triad@localhost")
_NEW = "0" * 40  # what an update expects of a branch that is not there yet


def keep(run: Run, files: Iterable[str], message: str) -> tuple[str, str]:
    """Branch and commit of the deployed revision with `files` of the workspace on top.

    A branch never moves: the same files again give the same branch, other files one more, as do two runs of one day.
    """
    folder, index = run.folder, str(run.folder / ".triad" / "index")
    git(folder, "read-tree", run.revision, GIT_INDEX_FILE=index)
    for path in files:
        blob = git(folder, "hash-object", "-w", "--", path)
        git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", GIT_INDEX_FILE=index)
    tree = git(folder, "write-tree", GIT_INDEX_FILE=index)
    ours = f"{MARK}{run.run_id}"
    made, number = "", 1
    while True:
        branch = f"{BRANCHES}/{run.as_of}" + f"-{number}" * (number > 1)
        known = git(folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        if known:
            if git(folder, "rev-parse", f"{known}^{{tree}}") == tree and ours in git(
                folder, "show", "--no-patch", "--format=%B", known
            ):
                return branch, known
            number += 1
            continue
        made = made or git(folder, *_NOBODY, "commit-tree", tree, "-p", run.revision, stdin=f"{message}{ours}\n")
        try:  # refused if another run has taken the name meanwhile
            git(folder, "update-ref", f"refs/heads/{branch}", made, _NEW)
        except TriadError:
            if not git(folder, "for-each-ref", f"refs/heads/{branch}"):
                raise
            continue
        return branch, made


def uncached(folder: Path) -> list[str]:
    """Outputs in the workspace that DVC leaves to git (`cache: false`), by the lock's word."""
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    named = set()
    for stage in pipeline.values():
        body = stage.get("do", stage)
        for kind in ("outs", "metrics", "plots"):
            for entry in body.get(kind) or []:
                if isinstance(entry, dict):
                    named |= {
                        path for path, how in entry.items() if isinstance(how, dict) and how.get("cache") is False
                    }
    return sorted(out["path"] for entry in lock.values() for out in entry.get("outs", []) if out["path"] in named)
