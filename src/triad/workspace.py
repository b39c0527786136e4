"""A checkout of its own for a run that shall not touch this one: a git worktree sharing the DVC cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from triad.config.params import merge, parse
from triad.errors import TriadError


def prepare(config: Path, folder: Path) -> str:
    """Make or renew `folder` as a worktree of what is tracked here, uncommitted changes too, under `config`'s params.

    Returns a sentence on what to do next.

    Raises:
        TriadError: `config` is missing or does not fit, or `folder` holds something else.
    """
    if not config.is_file():
        raise TriadError("no such file", where=str(config), mend="the shipped ones lie in configs/")
    overlay = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    params = merge(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")), overlay)
    parse(params, str(config))
    revision = _git("-c", "user.name=triad", "-c", "user.email=triad@localhost", "stash", "create") or "HEAD"
    if (folder / ".git").is_file():
        _git("-C", str(folder), "checkout", "--quiet", "--force", "--detach", _git("rev-parse", revision))
    elif folder.exists() and any(folder.iterdir()):
        raise TriadError("holds files of its own", where=str(folder), mend="name a folder that does not exist yet")
    else:
        _git("worktree", "prune")
        _git("worktree", "add", "--quiet", "--detach", str(folder), revision)
    # through JSON, so that a date is written as the text that DVC takes
    plain = json.loads(json.dumps(params, default=str))
    (folder / "params.yaml").write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    local = folder / ".dvc" / "config.local"
    local.write_text(f"[cache]\n    dir = {Path('.dvc/cache').resolve()}\n")
    return f"{folder} is ready: cd {folder} && dvc repro"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TriadError(
            f"git {arguments[0]}: {done.stderr.strip()}", where="workspace", mend="run inside the checkout"
        )
    return done.stdout.strip()
