"""Checkouts beside this one: git worktrees that share its DVC cache, each with params of its own.

`prepare` makes one for a person, of the present state; a night's is made by `triad.retraining.opening`.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from triad.errors import TriadError


def prepare(config: Path, folder: Path) -> str:
    """Make or renew `folder` as a worktree of what is tracked here, uncommitted changes too, under `config`'s params.

    Returns a sentence on what to do next.

    Raises:
        TriadError: `config` is missing or does not fit, or `folder` holds something else.
    """
    from triad.config.params import parse

    here = Path.cwd()
    params = laid(here, read_overlay(config))
    parse(params, str(config))
    revision = git(here, "-c", "user.name=triad", "-c", "user.email=triad@localhost", "stash", "create") or "HEAD"
    if (folder / ".git").is_file():
        git(folder, "checkout", "--quiet", "--force", "--detach", git(here, "rev-parse", revision))
    elif folder.exists() and any(folder.iterdir()):
        raise TriadError("holds files of its own", where=str(folder), mend="name a folder that does not exist yet")
    else:
        add_worktree(here, folder, revision)
    write_params(folder, params)
    share_cache(here, folder)
    return f"{folder} is ready: cd {folder} && dvc repro"


def read_overlay(config: Path) -> dict[str, Any]:
    """The sections in `config`.

    Raises:
        TriadError: there is no such file.
    """
    if not config.is_file():
        raise TriadError("no such file", where=str(config), mend="the shipped ones lie in configs/")
    return yaml.safe_load(config.read_text(encoding="utf-8")) or {}


def laid(folder: Path, overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`folder`'s params with `overlay` laid over them."""
    from triad.config.params import merge

    return merge(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8")), dict(overlay))


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Make `params` those of `folder`."""
    # through JSON, so that a date is written as the text that DVC takes
    plain = json.loads(json.dumps(params, default=str))
    (folder / "params.yaml").write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def add_worktree(checkout: Path, folder: Path, revision: str) -> None:
    """A new worktree of the repository at `checkout`."""
    git(checkout, "worktree", "prune")
    git(checkout, "worktree", "add", "--quiet", "--detach", str(folder), revision)


def share_cache(checkout: Path, folder: Path) -> None:
    """Let `folder` use the DVC cache of `checkout`, and its remotes, also those that git does not know of."""
    settings, here = configparser.ConfigParser(interpolation=None), checkout / ".dvc"
    settings.read([here / "config", here / "config.local"])
    for needed in ("cache", "core"):
        if not settings.has_section(needed):
            settings.add_section(needed)
    for section in settings.values():  # paths are relative to the .dvc folder that names them
        if "url" in section and "://" not in section["url"]:
            section["url"] = str((here / section["url"]).resolve())
    settings["cache"]["dir"] = str((here / settings["cache"].get("dir", "cache")).resolve())
    # DVC's own notes on the folder: by default in /var/tmp, where they would outlive it
    settings["core"]["site_cache_dir"] = str((folder / ".dvc" / "tmp" / "site").resolve())
    with (folder / ".dvc" / "config.local").open("w") as handle:
        settings.write(handle)


def git(folder: Path, *arguments: str, given: str | None = None, **environment: str) -> str:
    """What git prints in `folder`, without the last line's end.

    Raises:
        TriadError: git refuses.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise TriadError(
            f"git {' '.join(arguments[:2])}: {done.stderr.strip()}",
            where=str(folder),
            mend="run inside the checkout",
        )
    return done.stdout.strip()
