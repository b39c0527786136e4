"""A tiny pipeline in a git and DVC repository of its own: prepare → left, right → join."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DVC_YAML = """
stages:
  prepare:
    cmd: python step.py prepare
    params: [ingest.as_of]
    deps: [step.py]
    outs: [{out/prepare: {persist: true}}]
  left:
    cmd: python step.py left prepare
    params: [left]
    deps: [step.py, out/prepare]
    outs: [{out/left: {persist: true}}]
  right:
    cmd: python step.py right prepare
    deps: [step.py, out/prepare]
    outs: [{out/right: {persist: true}}]
    meta: {pool: gpu, retries: 1}
  join:
    cmd: python step.py join left right
    deps: [step.py, out/left, out/right]
    outs: [{out/join: {persist: true}}]
    metrics: [{metrics.json: {cache: false, persist: true}}]
"""

STEP = """
import hashlib, json, os, pathlib, sys, time
name, *needs = sys.argv[1:]
ways = json.loads(os.environ.get("STEP", "{}")).get(name, {})
(pathlib.Path(".triad") / f"{name}.pid").write_text(str(os.getpid()))
time.sleep(ways.get("sleep", 0))
if "error" in ways:
    pathlib.Path(os.environ["TRIAD_FAILURE"]).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(os.environ["TRIAD_FAILURE"]).write_text(json.dumps(ways["error"]))
if "exit" in ways:
    sys.exit(ways["exit"])
export = pathlib.Path(os.environ.get("EXPORT", "/none"))
text = pathlib.Path("params.yaml").read_text() if not needs else ""
text += export.read_text() if not needs and export.is_file() else ""
text += "".join((pathlib.Path("out") / need / "data").read_text() for need in needs)
folder = pathlib.Path("out") / name
folder.mkdir(parents=True, exist_ok=True)
(folder / "data").write_text(name + hashlib.sha256(text.encode()).hexdigest())
if name == "join":
    pathlib.Path("metrics.json").write_text('{"length": %d}' % len(text))
"""

STAGES = ("prepare", "left", "right", "join")
PARAMS = 'ingest: {as_of: "2026-01-01"}\nleft: {size: 1}\n'


def make_repository(folder: Path, *, dvc_yaml: str = DVC_YAML, params: str = PARAMS) -> Path:
    """A checkout with the pipeline committed and a DVC remote beside it."""
    (folder / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")  # what `dvc init` writes
    (folder / ".dvcignore").write_text("")
    remote = f"    remote = store\n['remote \"store\"']\n    url = {folder.parent / 'store'}\n"
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n" + remote)
    files = {"dvc.yaml": dvc_yaml, "step.py": STEP, "params.yaml": params}
    for name, text in {**files, ".gitignore": "/out\n/.triad\n/runs\n/metrics.json\n"}.items():
        (folder / name).write_text(text)
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str) -> None:
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", message]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def environment(checkout: Path, **more: str) -> dict[str, str]:
    """What a scheduler gives `triad retraining`: where the checkout is, and nothing of this test's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIAD_", "MLFLOW_", "AIRFLOW_"))}
    return {**kept, "TRIAD_CHECKOUT": str(checkout), **more}


def start(checkout: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """`triad retraining …`, begun."""
    command = [sys.executable, "-m", "triad", "retraining", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=checkout.parent, stdout=pipe, stderr=pipe, text=True, env=environment(checkout, **more)
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Exit code, the last line of output as JSON, and the log."""
    said, log = process.communicate(timeout=120)
    lines = said.strip().splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else {}, log


def retraining(checkout: Path, *words: str, code: int = 0, **more: str) -> dict[str, Any]:
    """`triad retraining …`, done; what it said."""
    found, said, log = ended(start(checkout, *words, **more))
    assert found == code, (found, said, log[-3000:])
    return said


SHORT_YAML = """
stages:
  join:
    cmd: python step.py join
    params: [ingest.as_of, left]
    deps: [step.py]
    outs: [{out/join: {persist: true}}]
    metrics: [{metrics.json: {cache: false, persist: true}}]
"""
"""A pipeline of one stage, for what does not depend on the graph."""


def opened(checkout: Path, run_id: str, as_of: str = "2026-03-01", *words: str, **more: str) -> Path:
    return Path(retraining(checkout, "open", run_id, "--as-of", as_of, *words, **more)["workspace"])


def night(
    checkout: Path, run_id: str, as_of: str = "2026-03-01", *, stages: Sequence[str] = STAGES, **more: str
) -> tuple[Path, dict[str, Any]]:
    """A whole run; its workspace, and what `close` said."""
    folder = opened(checkout, run_id, as_of)
    for name in stages:
        retraining(checkout, "stage", name, "--workspace", str(folder), **more)
    return folder, retraining(checkout, "close", "--workspace", str(folder), **more)


def results(folder: Path) -> dict[str, str]:
    """Every output's text."""
    found = {str(p.relative_to(folder)): p.read_text() for p in sorted((folder / "out").rglob("data"))}
    return found | {"metrics.json": (folder / "metrics.json").read_text()}


def wait_for(path: Path) -> str:
    """What `path` holds, as soon as it is there."""
    deadline = time.monotonic() + 60
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)
    return path.read_text()
