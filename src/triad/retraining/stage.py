"""Runs one stage of an opened run by DVC, under the fence, and says what came of it."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from triad.artifacts import read_json
from triad.retraining import fence
from triad.retraining.outcome import data_docs, outcome
from triad.retraining.run import MARK, Run, in_use

log = logging.getLogger("triad.retraining")

DONE, RETRY, PERSON = 0, 1, 3
"""Exit codes: finished or skipped; worth another try; only a person can mend it."""

_ROUNDS = 3  # how often a stage is taken up again after another run has overtaken it


def run_stage(name: str, run: Run, *, force: bool = False) -> tuple[dict[str, Any], int]:
    """What to tell the scheduler, and the exit code.

    Raises:
        TimeoutError: a process of an earlier attempt cannot be ended.
    """
    start = time.monotonic()
    with in_use(run.folder):
        if gone := fence.end_leftovers(MARK, f"{run.workspace}:{name}"):
            log.warning("%d processes of an earlier attempt at %s were still there: ended", gone, name)
        _mend_lock(run.folder)
        for _ in range(_ROUNDS):
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
    docs = {"data_docs": str(found)} if name == "validate" and (found := data_docs(run.folder)) else {}
    return {**said, **seconds, "error": error, **docs}, RETRY if error["transient"] else PERSON


def _reproduce(name: str, run: Run, *, under: str, force: bool) -> tuple[int, str]:
    run.failure(under).unlink(missing_ok=True)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    if force:
        command.append("--force")
    elif _lost(run.folder, name):
        # made on an earlier night: from the shared cache or the remote, if its dependencies are the same
        command += ["--pull", "--no-run-cache"]
    return fence.run(command, run.folder, run.environment(under))


def _error(run: Run, name: str, text: str) -> dict[str, Any]:
    """What stopped the stage: what it left behind itself, else (it crashed, was killed, was locked) DVC's last word."""
    if run.failure(name).is_file():
        return read_json(run.failure(name))
    said = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    what = "; ".join(said) or "it ended without a word: it was killed, or asked to stop"
    return {"what": what, "where": f"stage {name}", "mend": "see the log above", "transient": True, "redo": None}


def _lost(folder: Path, name: str) -> bool:
    """Whether the lock knows the stage, but an output of it is not there."""
    entry = _stages(folder / "dvc.lock").get(name, {})
    return any(not (folder / out["path"]).exists() for out in entry.get("outs", []))


def _stages(lock: Path) -> dict[str, Any]:
    if not lock.is_file():
        return {}
    return (yaml.load(lock.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages", {})


def _mend_lock(folder: Path) -> None:
    """DVC writes its lock in place, so a kill can cut it short: take the last whole one. What it lacks runs again."""
    for wait in (0.5, 0.5, 0):  # a neighbour may be writing it just now
        if _whole(folder / "dvc.lock"):
            return
        time.sleep(wait)
    kept = folder / ".triad" / "dvc.lock"
    log.warning("dvc.lock was cut short by a kill: %s", "the last whole one is taken" if kept.is_file() else "removed")
    if kept.is_file():
        shutil.copyfile(kept, folder / "dvc.lock")
    else:
        (folder / "dvc.lock").unlink()


def _whole(lock: Path) -> bool:
    if not lock.exists():
        return True
    try:
        stages = _stages(lock)
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError):
        return False
    return bool(stages) and all(isinstance(entry, dict) and "cmd" in entry for entry in stages.values())


def _keep_lock(folder: Path) -> None:
    kept = folder / ".triad" / "dvc.lock"
    if (folder / "dvc.lock").is_file():
        fresh = kept.with_name(f"dvc.lock.{time.monotonic_ns()}")
        shutil.copyfile(folder / "dvc.lock", fresh)
        if _whole(fresh):
            fresh.replace(kept)
        else:
            fresh.unlink()
