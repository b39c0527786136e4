"""Runs one stage of an opened run by DVC, in a process group of its own, and reports the result."""

from __future__ import annotations

import logging
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from triad.artifacts import read_json, replacing_file
from triad.config.yaml_loader import Loader
from triad.durable import sync
from triad.retraining import process_group
from triad.retraining.graph import stages
from triad.retraining.locks import free_stale_locks
from triad.retraining.outcome import data_docs, outcome
from triad.retraining.run import MARK, Run, in_use

log = logging.getLogger("triad.retraining")

DONE, RETRY, PERSON = 0, 1, 3
"""Exit codes: finished or skipped; worth another try; only a person can mend it."""

KEPT = Path(".triad") / "dvc.lock"
"""A copy of the last whole lock."""
_BROKEN_LOCK = re.compile(r"dvc\.lock'? (validation failed|is invalid)|unable to read: '\S*dvc\.lock'")
_ROUNDS = 3  # how often a stage is taken up again after another run has overtaken it


def run_stage(name: str, run: Run, *, force: bool = False) -> tuple[dict[str, Any], int]:
    """What to tell the scheduler, and the exit code.

    A stage that reads the shop's exports always runs: DVC cannot see that a file outside was mended.

    Raises:
        TimeoutError: a process of an earlier attempt cannot be ended.
    """
    start = time.monotonic()
    force = force or any(stage.name == name and stage.meta.get("reads_source") for stage in stages(run.folder))
    with in_use(run.folder):
        if gone := process_group.end_leftovers(MARK, f"{run.workspace}:{name}"):
            log.warning("%d processes of an earlier attempt at %s were still there: ended", gone, name)
        free_stale_locks(run.folder)
        _mend_lock(run.folder)
        for _ in range(_ROUNDS):
            code, text = _reproduce(name, run, under=name, force=force)
            if code and _BROKEN_LOCK.search(text) and _mend_lock(run.folder, broken=True):
                code, text = _reproduce(name, run, under=name, force=force)
            error = _error(run, name, text) if code else None
            if error is None or not error["redo"]:
                break
            log.warning("%s; %s is done again", error["what"], error["redo"])
            code, text = _reproduce(error["redo"], run, under=name, force=True)
            if code:
                error = _error(run, name, text)
                break
    said = {"stage": name, "changed": f"Running stage '{name}'" in text}
    seconds = {"seconds": round(time.monotonic() - start, 1)}
    if error is None:
        _keep_lock(run.folder)
        return {**said, **seconds, **outcome(name, run.folder)}, DONE
    docs = {"data_docs": str(page)} if name == "validate" and (page := data_docs(run.folder)) else {}
    return {**said, **seconds, "error": error, **docs}, RETRY if error["transient"] else PERSON


def run_all(run: Run) -> tuple[dict[str, Any], int]:
    """All stages of `run` in order: what the first that failed says, else the seconds that each took; and the code."""
    cost: dict[str, Any] = {"seconds": {}, "processor_seconds": {}}
    for stage in stages(run.folder):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said, code = run_stage(stage.name, run)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code:
            return said, code
        cost["seconds"][stage.name] = said["seconds"]
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cost["processor_seconds"][stage.name] = round(used, 1)
        log.info("%s · %.1f s, %.1f processor-seconds", stage.name, said["seconds"], used)
    return {"cost": cost}, DONE


def _reproduce(name: str, run: Run, *, under: str, force: bool) -> tuple[int, str]:
    run.failure(under).unlink(missing_ok=True)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    if force:
        command.append("--force")
    elif _lost(run.folder, name):
        # made on an earlier night: from the shared cache or the remote, if its dependencies are the same
        command += ["--pull", "--no-run-cache"]
    return process_group.run(command, run.folder, run.environment(under))


def _error(run: Run, name: str, text: str) -> dict[str, Any]:
    """What stopped the stage: what it left behind itself, else (it crashed, was killed, was locked) DVC's last word."""
    if run.failure(name).is_file():
        return read_json(run.failure(name))
    said = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    what = "; ".join(said) or "it ended without a word: it was killed, or asked to stop"
    return {"what": what, "where": f"stage {name}", "mend": "see the log above", "transient": True, "redo": None}


def _lost(folder: Path, name: str) -> bool:
    """Whether the lock knows the stage, but an output of it is not there."""
    entry = _stages(folder / "dvc.lock").get(name) or {}
    return any(not (folder / out["path"]).exists() for out in entry.get("outs") or [])


def _stages(lock: Path) -> dict[str, Any]:
    if not lock.is_file():
        return {}
    try:
        return (yaml.load(lock.read_text(), Loader=Loader) or {}).get("stages", {})
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError):  # DVC will say so
        return {}


def _mend_lock(folder: Path, *, broken: bool = False) -> bool:
    """DVC writes its lock in place, so a kill can cut it short: bring back what it lost of the last whole one.

    `broken` is DVC's own word that it cannot be read. Returns whether there was something to mend.
    """
    lock, kept, lost = folder / "dvc.lock", _stages(folder / KEPT), {}
    for wait in (0,) if broken else (0.3, 0.3, 0):  # a neighbour may be writing it just now
        now = {} if broken else _stages(lock)
        lost = {name: entry for name, entry in kept.items() if set(now.get(name) or ()) < set(entry)}
        if not (lost or broken):
            return False
        time.sleep(wait)
    log.warning("dvc.lock was cut short by a kill; brought back: %s", ", ".join(lost) or "nothing")
    with replacing_file(lock) as fresh:
        fresh.write_text(yaml.safe_dump({"schema": "2.0", "stages": {**now, **lost}}, sort_keys=False))
    return True


def _keep_lock(folder: Path) -> None:
    """Keep a copy of the lock, unless a neighbour is just writing it."""
    data = (folder / "dvc.lock").read_bytes()
    fresh = folder / f"{KEPT}.{time.monotonic_ns()}"
    fresh.write_bytes(data)
    now, before = _stages(fresh), _stages(folder / KEPT)
    if all(set(now.get(name) or ()) >= set(entry) for name, entry in before.items()):
        sync(fresh)
        fresh.replace(folder / KEPT)
        sync(fresh.parent)
    else:
        fresh.unlink()
