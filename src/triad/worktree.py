"""Git worktrees that Triad makes: making, recognising and removing them, and finding somebody's work in them.

The mark lies in git's own folder for the worktree: a copy of the worktree has none, and no `git clean` takes it away.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from triad import removal
from triad.artifacts import read_json, write_json
from triad.durable import sync_tree
from triad.errors import TriadError

MARK = "triad.json"
_PARAMS, _PIPELINE = "params.yaml", "dvc.yaml"
# a hook or an outer git command may name another repository by these
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


@dataclass(frozen=True)
class Mark:
    """Which worktree is meant; once it is whole, also the commit and the params that Triad laid there."""

    folder: str
    revision: str
    params: str | None = None


def git(folder: Path, *arguments: str, stdin: str | None = None, **environment: str) -> str:
    """What git prints in `folder`, without blanks around it.

    Raises:
        TriadError: git refuses, or is not installed.
    """
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsync=all", *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            env={**{name: value for name, value in os.environ.items() if name not in _ELSEWHERE}, **environment},
        )
    except FileNotFoundError as error:
        missing = "git is not installed" if folder.is_dir() else "no such folder"
        raise TriadError(missing, where=str(folder), mend="install git and run inside the checkout") from error
    if done.returncode:
        raise TriadError(
            f"git {' '.join(arguments[:2])}: {done.stderr.strip()}",
            where=str(folder),
            mend="run inside a checkout that `git clone` made",
        )
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """`folder`, if it is the top of a git checkout.

    Raises:
        TriadError: it is not: an unpacked archive, say, or a folder inside a checkout.
    """
    if not (folder / ".git").exists():
        raise TriadError(
            "is not the top folder of a git checkout",
            where=str(folder),
            mend="get Triad by `git clone` (an unpacked archive has no history), and run in its top folder",
        )
    return folder


def add(checkout: Path, folder: Path, revision: str) -> None:
    """A new worktree of the repository at `checkout`, marked as Triad's.

    Raises:
        TriadError: git refuses, or knows a worktree of somebody's there, whose folder is away.
    """
    folder = folder.resolve()
    known = _notes(checkout, folder)
    again: tuple[str, ...] = ()
    if known is not None and not folder.exists():
        if not (known / MARK).is_file():
            raise TriadError(
                "git knows a worktree here whose folder is away",
                where=str(folder),
                mend="bring it back, or `git worktree prune` if it is gone for good",
            )
        again = ("--force", "--force")
    git(checkout, "worktree", "add", "--quiet", *again, "--detach", "--no-checkout", str(folder), revision)
    _write(checkout, Mark(str(folder), git(folder, "rev-parse", "HEAD")))
    git(folder, "reset", "--quiet", "--hard")


def every(checkout: Path) -> list[Path]:
    """The folders of all worktrees of the repository that are there, `checkout` included."""
    listed = git(checkout, "worktree", "list", "--porcelain").splitlines()
    folders = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    return [folder for folder in folders if folder.is_dir()]


def finish(checkout: Path, folder: Path, revision: str) -> None:
    """Say in the mark that the worktree is whole: what differs from here on is somebody's."""
    sync_tree(folder)
    _write(checkout, Mark(str(folder.resolve()), revision, _digest(folder)))


def mark(checkout: Path, folder: Path) -> Mark | None:
    """The mark of the worktree of `checkout` at `folder`; None where Triad made none there."""
    notes = None if folder.is_symlink() else _notes(checkout, folder)
    if notes is None or not (notes / MARK).is_file():
        return None
    recorded = Mark(**read_json(notes / MARK))
    return recorded if recorded.folder == str(folder.resolve()) else None


def changes(folder: Path, made: Mark, *, params: bool = True) -> list[str]:
    """What somebody did in a worktree of ours that would be lost with it, in words.

    That is: changed, staged and new files, those too that only their own settings of git ignore, a branch that was
    checked out, and commits that no branch holds. What stages write there (files that the checkout's own `.gitignore`
    names, but for those below `runs/`; `dvc.lock`) is none of it; `params=False` leaves params.yaml out too.
    """
    differences = [path for path, tracked in _differing(folder) if not _is_of_runs(path, tracked)]
    differences += sorted({*_ignored_elsewhere(folder), *_overlooked(folder)} - {*differences})
    if _PARAMS in differences and (not params or _digest(folder) == made.params):
        differences.remove(_PARAMS)
    if branch := git(folder, "branch", "--show-current"):
        differences.append(f"the branch {branch}, which is checked out")
    held = (made.revision, "--branches", "--tags", "--remotes")
    loose = git(folder, "rev-list", "--ignore-missing", "HEAD", "--not", *held).split()
    return differences + ([f"{len(loose)} commits that no branch holds"] if loose else [])


def refuse_changes(folder: Path, made: Mark, mend: str, *, params: bool = True) -> None:
    """Raises:
    TriadError: somebody's work lies in `folder`.
    """
    if differences := changes(folder, made, params=params):
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise TriadError(f"somebody worked here: {', '.join(differences[:5])}{more}", where=str(folder), mend=mend)


def discard(folder: Path, made: Mark, *, all_of_it: bool) -> None:
    """Bring back the tracked files that runs wrote, or with `all_of_it` all of them, and remove new ones."""
    if all_of_it:
        git(folder, "reset", "--quiet", "--hard")
        git(folder, "clean", "--force", "-d", "--quiet", "--exclude=dvc.lock", "--exclude=/.triad", "--exclude=/.dvc")
    elif tracked := [path for path, known in _differing(folder) if known]:
        git(folder, "checkout", "--quiet", "HEAD", "--", *tracked, GIT_LITERAL_PATHSPECS="1")


def remove(checkout: Path, folder: Path, below: Path, *, params: bool = True) -> None:
    """Remove a worktree of ours, and what git knows of it.

    Raises:
        TriadError: it is not ours, somebody's work lies in it, or somebody locked it.
    """
    made = mark(checkout, folder)
    notes = _notes(checkout, folder)
    if made is not None and notes is not None and (notes / "locked").is_file():  # by git too, while it makes one
        raise TriadError("is locked", where=str(folder), mend="`git worktree unlock` the folder where it may go")
    if notes is not None and made is None and {path.name for path in folder.iterdir()} <= {".git"}:
        _write(checkout, Mark(str(folder.resolve()), ""))  # killed before it was marked: nothing lies in it
    elif made is not None and made.params is not None:
        refuse_changes(folder, made, "commit it to a branch, then `git worktree remove` the folder", params=params)
    removal.remove(folder, below=below, mark=(notes or folder) / MARK)
    git(checkout, "worktree", "remove", "--force", "--force", str(folder.resolve()))


def _notes(checkout: Path, folder: Path) -> Path | None:
    """Git's own folder for the worktree at `folder`; None where it knows none there."""
    common = (checkout / git(checkout, "rev-parse", "--git-common-dir")).resolve()
    for note in common.glob("worktrees/*/gitdir"):
        if (note.parent / note.read_text().strip()).parent.resolve() == folder.resolve():
            return note.parent
    return None


def _write(checkout: Path, made: Mark) -> None:
    notes = _notes(checkout, Path(made.folder))
    if notes is None:
        raise TriadError("git does not know the worktree", where=made.folder, mend="`git worktree repair` in it")
    sync_tree(notes)
    write_json(notes / MARK, asdict(made))


def _digest(folder: Path) -> str:
    path = folder / _PARAMS
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _differing(folder: Path) -> list[tuple[str, bool]]:
    """Paths that git finds changed or new, and whether it knew them."""
    said = git(
        *(folder, "status", "--porcelain=v2", "-z", "--no-renames"),
        *("--untracked-files=all", "--ignore-submodules=none"),
    )
    fields = {"1": 8, "u": 10, "?": 1}  # blanks before the path
    return [(entry.split(" ", fields[entry[0]])[-1], entry[0] != "?") for entry in said.split("\0") if entry]


def _ignored_elsewhere(folder: Path) -> list[str]:
    """New files that `git status` leaves out by a person's own settings, and results below `runs/`."""
    others = ("ls-files", "-z", "--others")
    new = git(folder, *others, "--exclude-per-directory=.gitignore").split("\0")
    results = git(folder, *others, "--directory", "--no-empty-directory", "--", "runs").split("\0")
    return [path for path in (*new, *results) if path and not _is_of_runs(path, tracked=False)]


def _overlooked(folder: Path) -> list[str]:
    """Files that differ, and that git was told not to look at (`update-index --assume-unchanged`, `--skip-worktree`).

    A light night's dvc.yaml is one of ours.
    """
    flagged = [entry.partition(" ") for entry in git(folder, "ls-files", "-v", "-z").split("\0") if entry]
    paths = [path for tag, _, path in flagged if (tag.islower() or tag == "S") and path != _PIPELINE]
    there = [path for path in paths if os.path.lexists(folder / path)]  # a sparse checkout has not all of them
    known = {path: git(folder, "rev-parse", f":{path}") for path in there}
    return [p for p in there if not (folder / p).is_file() or git(folder, "hash-object", "--", p) != known[p]]


def _is_of_runs(path: str, tracked: bool) -> bool:
    return Path(path).name == "dvc.lock" or (not tracked and path.startswith((".triad/", ".dvc/")))
