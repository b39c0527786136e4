"""Workspaces: git worktrees beside this checkout that share its DVC cache, each with its own params.

`prepare` makes one for a person, of the present state; a night's is made by `triad.retraining.opening`.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from triad import worktree
from triad.errors import TriadError
from triad.locking import held
from triad.worktree import git

_COMMENT = "#"
RUN = Path(".triad") / "run.json"
"""What `triad retraining open` leaves in a run's workspace."""


def prepare(config: Path, folder: Path, *, discard: bool = False) -> str:
    """Make or renew `folder` as a worktree of what is tracked here, uncommitted changes too, under `config`'s params.

    Args:
        config: sections to lay over the params.
        folder: one that is not there yet, or a workspace that was made so.
        discard: throw away what somebody changed in that workspace.

    Returns a sentence on what to do next.

    Raises:
        TriadError: `config` is missing or does not fit, `folder` holds something else or somebody's work, or this is no
            git checkout.
    """
    from triad.config.params import parse

    here = worktree.repository(Path.cwd())
    params = laid(here, read_overlay(config))
    parse(params, str(config))
    with held(here / ".triad" / "open", wait=True):  # as opening and pruning runs do
        _prepare(here, params, folder, discard)
    return f"{folder} is ready, with a registry of its own: cd {shlex.quote(str(folder))} && dvc repro"


def _prepare(here: Path, params: Mapping[str, Any], folder: Path, discard: bool) -> None:
    from triad.retraining.seeding import forget_registry

    made = _usable(here, folder, discard)
    revision = git(here, "-c", "user.name=triad", "-c", "user.email=triad@localhost", "stash", "create") or "HEAD"
    if made is None:
        worktree.add(here, folder, revision)
    else:
        worktree.discard(folder, made, all_of_it=discard)
        git(folder, "checkout", "--quiet", "--no-overwrite-ignore", "--detach", git(here, "rev-parse", revision))
    write_params(folder, params)
    forget_registry(folder)
    share_cache(here, folder)
    worktree.finish(here, folder, git(folder, "rev-parse", "HEAD"))


_MANAGED = (".git", ".dvc", ".triad", ".airflow", "artifacts", "runs/retraining")
"""Folders of a checkout whose content other commands replace or remove."""


def _usable(here: Path, folder: Path, discard: bool) -> worktree.Mark | None:
    """The mark of the workspace in `folder`, or None where there is none to be renewed.

    Raises:
        TriadError: its name is blank or reserved; it is a link, a file, a folder that Triad did not make, this
            checkout, or holds somebody's work.
    """
    mend = "name a folder that does not exist yet"
    if (folder.name and not folder.name.strip()) or any(sign < " " for sign in folder.name):
        raise TriadError("is no name of a folder", where=repr(str(folder)), mend=mend)
    managed = next((each for each in _MANAGED if folder.resolve().is_relative_to((here / each).resolve())), None)
    if managed or folder.resolve() == (here / "runs").resolve():  # below runs/ they are at home
        raise TriadError(f"Triad keeps its own things in {managed or 'runs'}", where=str(folder), mend=mend)
    if folder.is_symlink():
        raise TriadError("is a link", where=str(folder), mend=mend)
    if folder.exists() and not folder.is_dir():
        raise TriadError("is a file", where=str(folder), mend=mend)
    if not folder.exists() or not any(folder.iterdir()):
        return None
    made = worktree.mark(here, folder)
    if made is None or folder.resolve() == here.resolve():
        raise TriadError("holds files of its own and is no workspace of this checkout", where=str(folder), mend=mend)
    if (folder / RUN).is_file():
        raise TriadError("is the workspace of a run", where=str(folder), mend=mend)
    if not discard:
        worktree.refuse_changes(folder, made, "commit it to a branch and switch back, or give --discard to lose it")
    return made


def read_overlay(config: Path) -> dict[str, Any]:
    """The sections in `config`.

    Raises:
        TriadError: there is no such file, or it is no mapping.
    """
    if not config.is_file():
        raise TriadError("no such file", where=str(config), mend="the shipped ones lie in configs/")
    from triad.config.params import read

    return read(config, empty=True)


def laid(folder: Path, overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`folder`'s params with `overlay` laid over them."""
    from triad.config.params import merge, read

    return merge(read(folder / "params.yaml"), dict(overlay))


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Make `params` those of `folder`."""
    # through JSON, so that a date is written as the text that DVC takes
    plain = json.loads(json.dumps(params, default=str))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def share_cache(checkout: Path, folder: Path) -> None:
    """Let `folder` use the DVC cache of `checkout`, and its remotes, also those that git does not know of."""
    settings, here = configparser.ConfigParser(interpolation=None), checkout / ".dvc"
    settings.read([here / "config", here / "config.local"])
    for needed in ("cache", "core"):
        if not settings.has_section(needed):
            settings.add_section(needed)
    for section in settings.values():  # paths are relative to the .dvc folder that names them
        if "url" in section:  # what comes back from a remote is held against its recorded hash
            section.setdefault("verify", "true")
        if "url" in section and "://" not in section["url"]:
            section["url"] = _for_dvc((here / section["url"]).resolve(), folder)
    settings["cache"]["dir"] = _for_dvc((here / settings["cache"].get("dir", "cache")).resolve(), folder)
    # DVC's own notes on the folder: by default in /var/tmp, where they would outlive it
    site = (folder / ".dvc" / "tmp" / "site").resolve()
    if _COMMENT not in str(site):  # else DVC's own default: relative, it would follow the folder one stands in
        settings["core"]["site_cache_dir"] = str(site)
    with (folder / ".dvc" / "config.local").open("w") as handle:
        settings.write(handle)


def _for_dvc(path: Path, folder: Path) -> str:
    """`path` as DVC's settings in `folder` name it: those cannot quote the sign that begins a comment there.

    Raises:
        TriadError: it cannot be named without that sign, or holds a brace.
    """
    if set("{}") & set(str(path)):  # its progress bars take them for a field
        raise TriadError("DVC cannot work in a path with a brace", where=str(path), mend="rename the folder")
    if _COMMENT not in str(path):
        return str(path)
    relative = os.path.relpath(path, (folder / ".dvc").resolve())
    if _COMMENT in relative:
        mend = "keep the cache and the workspaces below one folder"
        raise TriadError(f"DVC's settings cannot hold a {_COMMENT!r}", where=str(path), mend=mend)
    return relative
