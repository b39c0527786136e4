"""Closes a finished run: delivers the lists, pushes the data, commits the night on a branch. Safe to repeat."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from triad.artifacts import read_json, write_json
from triad.errors import TriadError
from triad.pipeline import PIPELINE
from triad.retraining import delivery, process_group
from triad.retraining.branch import keep, uncached
from triad.retraining.outcome import LISTS, PUBLISHED
from triad.retraining.run import CLOSED, MARK, Run, in_use
from triad.tracking.place import tracking_uri

log = logging.getLogger("triad.retraining")

_STEP = "close"


def close_run(run: Run) -> dict[str, Any]:
    """Deliver, push, keep; returns what to tell the scheduler.

    The lists go first, for the shop waits for them; the branch last, so that one that is there can be restored.

    Raises:
        TriadError: a stage is not done, or the push failed (which may pass).
    """
    with in_use(run.folder):
        process_group.end_leftovers(MARK, f"{run.workspace}:{_STEP}")
        _check_done(run)
        published = read_json(run.folder / PUBLISHED) if (run.folder / PUBLISHED).is_file() else {}
        delivered, why = _deliver(run)
        log.info("delivery: %s", why)
        pushed = _push(run)
        files = ["dvc.lock", "params.yaml", *uncached(run.folder)] + [PIPELINE] * (run.night == "light")
        branch, commit = keep(run, files, _message(run, published))
        if published:
            tell_registry(run, published, branch, commit)
        judged = {name: published.get(name) for name in ("verdict", "promoted", "version", "run_id", "reasons")}
        result = {
            "branch": branch,
            "commit": commit,
            "pushed": pushed,
            **judged,
            "delivered": delivered,
            "delivery": why,
        }
        write_json(run.folder / CLOSED, result)
    log.info("restore it: git checkout %s && dvc pull", branch)
    return result


def _dvc(run: Run, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    return process_group.run(command, run.folder, run.environment(_STEP))


def _check_done(run: Run) -> None:
    code, text = _dvc(run, "status")
    if code:
        raise TriadError(
            f"DVC does not tell what is done: {text.strip()[-300:]}",
            where=run.workspace,
            mend="close again when no stage runs",
            transient=True,
        )
    if "up to date" not in text:
        stale = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and not line[0].isspace()]
        raise TriadError(
            f"not done: {', '.join(stale)}", where=run.workspace, mend="`triad retraining stage` for each, then close"
        )


def _deliver(run: Run) -> tuple[str | None, str]:
    if not (run.folder / LISTS / "summary.json").is_file():
        return None, "the pipeline makes no lists"
    return delivery.hand_over(
        run.folder / LISTS, Path(run.checkout), delivery.champion_of(Path(run.checkout), run.folder)
    )


def _push(run: Run) -> bool:
    """Bring outputs to the remote; False where none is set."""
    remote = os.environ.get("TRIAD_REMOTE")
    if not remote:
        code, text = _dvc(run, "config", "core.remote")
        if code or not text.strip():
            log.warning("no remote is set: the night's data lies in this machine's cache only (`dvc remote add -d …`)")
            return False
    code, text = _dvc(run, "push", *(["--remote", remote] if remote else []))
    if code:
        said = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
        unknown = "doesn't exist" in text or "does not exist" in text
        raise TriadError(
            f"dvc push failed: {'; '.join(said) or 'it was ended'}",
            where=run.workspace,
            mend="name a remote of `dvc remote list` in TRIAD_REMOTE" if unknown else "close again",
            transient=not unknown,
        )
    return True


def _message(run: Run, published: dict[str, Any]) -> str:
    verdict = f": {published['verdict']}, version {published['version']}" if published else ""
    return f"{run.night.title()} night as of {run.as_of}{verdict}\n\nBy: {run.trigger}"


def tell_registry(run: Run, published: dict[str, Any], branch: str, commit: str) -> None:
    """Write the branch on the version, for `triad why`. A version that an earlier run made keeps that run's."""
    from triad.tracking.registry import tag
    from triad.tracking.store import client

    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri(Path(run.checkout))
    mlflow_client, model, version = client(), published["model"], str(published["version"])
    tags = mlflow_client.get_model_version(model, version).tags
    if "branch" not in tags or tags.get("trigger") == run.trigger_with_run:
        tag(mlflow_client, model, version, {"branch": branch, "branch_commit": commit})
