"""Opens a run: a worktree at the deployed revision with the night's params. Nothing else changes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from triad import removal, worktree
from triad.artifacts import read_json
from triad.errors import TriadError
from triad.paths import entry
from triad.retraining import nights
from triad.retraining.nights import Night, section
from triad.retraining.run import RECORD, Run, checkout, exclusive, slug, workspaces
from triad.retraining.seeding import seed
from triad.workspace import laid, read_overlay, share_cache, write_params
from triad.worktree import git

log = logging.getLogger("triad.retraining")


def open_run(
    run_id: str,
    as_of: str,
    config: Path | None = None,
    settings: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    *,
    night: Night | None = None,
) -> Run:
    """Make the run's workspace, or find it as it was left.

    Args:
        run_id: the scheduler's name of the run.
        as_of: the first day that is not read, as YYYY-MM-DD.
        config: sections to lay over the params: a file of the revision, or any by its absolute path.
        settings: single values on top, each as `section.key=value`.
        tasks: what to learn of the tasks that are configured; all where none is named.
        night: full or light; None: as `retraining.full_every_days` says.

    Raises:
        TriadError: the revision or the config is not there, the params do not fit, there is no champion that a light
            night could go on from, or the run was opened for another day or kind of night.
    """
    here = checkout()
    folder = workspaces(here) / slug(run_id)
    with exclusive(here, "open"):
        if (folder / RECORD).is_file():
            return _again(Run.read(folder), run_id, as_of, night)
        revision = git(here, "rev-parse", "--verify", f"{os.environ.get('TRIAD_REVISION') or 'HEAD'}^{{commit}}")
        if removal.is_there(folder):  # an opening that was killed
            worktree.remove(here, folder, workspaces(here), params=False)
        worktree.add(here, folder, revision)
        share_cache(here, folder)
        overlay = read_overlay(folder / config) if config else {}
        params = laid(folder, overlay)
        for path, value in [("ingest.as_of", as_of), *map(_setting, settings)]:
            _put(params, path, value)
        if tasks:
            params["tasks"] = {name: _task(section(params, "tasks"), name) for name in tasks}
        write_params(folder, params)
        made = nights.settle(folder, params, here, night)
        write_params(folder, params)
        if made == "light":
            nights.lay(folder)
        else:
            _pin_starts(params, here, folder)
        _check(folder)
        run = Run(
            run_id=run_id,
            as_of=as_of,
            revision=revision,
            trigger=_trigger(),
            checkout=str(here),
            workspace=str(folder),
            seed=seed(here, folder, as_of),
            opened_at=datetime.now(UTC).isoformat(timespec="seconds"),
            night=made,
        )
        worktree.finish(here, folder, revision)
        run.write()  # last: only a whole workspace has a record
    log.info("workspace %s at %s, as of %s, %s night", folder, revision[:12], as_of, made)
    return run


def _again(run: Run, run_id: str, as_of: str, night: Night | None) -> Run:
    if (run.run_id, run.as_of, run.night) != (run_id, as_of, night or run.night):
        raise TriadError(
            f"it was opened for {run.run_id} as of {run.as_of}, a {run.night} night, "
            f"not for {run_id} as of {as_of}{f', {night}' if night else ''}",
            where=run.workspace,
            mend="start a new run for another day or kind of night",
        )
    log.info("workspace %s is continued", run.workspace)
    return run


def _setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or "." not in path:
        raise TriadError("is not section.key=value", where=f"--set {text}", mend="such as --set pretrain.max_epochs=3")
    if path == "ingest.as_of":
        raise TriadError("the day of a run is named once", where=f"--set {text}", mend="name it by --as-of")
    try:
        return path, yaml.safe_load(value)
    except yaml.YAMLError as error:
        mend = f"quote what is a text: --set '{path}=\"…\"'"
        raise TriadError("its value is not readable as YAML", where=f"--set {text}", mend=mend) from error


def _task(known: dict[str, Any], name: str) -> Any:
    if name not in known:
        raise TriadError("no such task", where=f"--task {name}", mend=f"known are {', '.join(known)}")
    return known[name]


def _put(params: dict[str, Any], path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for name in sections:
        params = params.setdefault(name, {})
        if not isinstance(params, dict):
            raise TriadError(f"{name} is a value, no section", where=f"--set {path}", mend="see params.yaml")
    params[key] = value


def _pin_starts(params: dict[str, Any], here: Path, folder: Path) -> None:
    """Write into the params which version is champion now, here and in the market that is named, where a stage starts
    from it: a run must be reproducible.
    """
    from triad.retraining.delivery import champion_of

    champion: Any = params.get("champion")
    inits = {section(params, stage).get("init") for stage in ("pretrain", "finetune")}
    if not isinstance(champion, dict):
        return
    for init, named in (("champion", champion), ("market", champion.get("market"))):
        if init not in inits or not isinstance(named, dict) or named.get("version") is not None:
            continue
        version = champion_of(here, folder, named.get("model"))
        named["version"] = int(version) if version else None
        write_params(folder, params)
        log.info("%s: starts from version %s", init, version or "none: there is no champion yet")


def _check(folder: Path) -> None:
    """Ask the revision's own code whether the params fit, before anything is run."""
    if not (folder / "src" / "triad" / "config").is_dir():
        return
    told = folder / ".triad" / "failures" / "check.json"
    environment = {**os.environ, "PYTHONPATH": entry(folder / "src"), "TRIAD_FAILURE": str(told)}
    done = subprocess.run(
        [sys.executable, "-m", "triad", "check"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = read_json(told) if told.is_file() else {"what": done.stderr.strip(), "where": str(folder)}
        raise TriadError(said["what"], where=said["where"], mend=said.get("mend", "correct the params"))


def _trigger() -> str:
    from triad.tracking.lineage import trigger

    return trigger(os.environ)
