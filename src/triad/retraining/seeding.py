"""What a new run may reuse from an earlier night.

`dvc.lock` is not committed on the deployed branch: it says what was last made, which changes every night. And DVC's
run-cache, which would find finished work without it, leaves out stages whose outputs persist, as all of ours do. So
a run starts with the lock of the night before it, from that night's branch: the newest of the same day (a backfill or
a repeated run then skips what is unchanged, and outputs come from the shared cache or the remote), else the newest of
all (its day differs, so what reads the day runs; what does not, is skipped).

The mark `asks_registry` in a stage's `meta` leaves it out: what it makes depends on which model serves, which no lock
tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from triad.worktree import git

BRANCHES = "retrain"


def seed(checkout: Path, folder: Path, as_of: str) -> str | None:
    """Lay the lock, and the metrics kept in git, of an earlier night in `folder`; returns that night's branch."""
    branch = _newest(checkout, as_of)
    if branch is None:
        forget_registry(folder)
        return None
    lock = yaml.safe_load(git(checkout, "show", f"{branch}:dvc.lock"))
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    known = {name: entry for name, entry in lock.get("stages", {}).items() if name.partition("@")[0] in pipeline}
    kept = {name: entry for name, entry in known.items() if not _asks_registry(pipeline, name)}
    for path in _uncached(checkout, branch, kept):
        git(folder, "restore", "--source", branch, "--worktree", "--", path, GIT_LITERAL_PATHSPECS="1")
    (folder / "dvc.lock").write_text(yaml.safe_dump({**lock, "stages": kept}, sort_keys=False))
    return branch


def forget_registry(folder: Path) -> None:
    """Take out of a lock that was committed what depends on which model serves: it may tell of another registry."""
    lock = folder / "dvc.lock"
    if not git(folder, "ls-files", "--", lock.name):  # the folder's own
        return
    known = yaml.safe_load(lock.read_text())
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    kept = {name: entry for name, entry in known["stages"].items() if not _asks_registry(pipeline, name)}
    lock.write_text(yaml.safe_dump({**known, "stages": kept}, sort_keys=False))


def _newest(checkout: Path, as_of: str) -> str | None:
    listed = git(
        checkout, "for-each-ref", "--sort=-committerdate", "--format=%(refname:short)", f"refs/heads/{BRANCHES}/"
    ).splitlines()
    same = [name for name in listed if name.startswith(f"{BRANCHES}/{as_of}")]
    return next(iter(same + listed), None)


def _asks_registry(pipeline: dict[str, Any], name: str) -> bool:
    return bool(pipeline.get(name.partition("@")[0], {}).get("meta", {}).get("asks_registry"))


def _uncached(checkout: Path, branch: str, stages: dict[str, Any]) -> list[str]:
    """Outputs of `stages` that lie in git, not in DVC's cache."""
    tracked = set(git(checkout, "ls-tree", "-r", "--name-only", branch).splitlines())
    return [out["path"] for entry in stages.values() for out in entry.get("outs", []) if out["path"] in tracked]
