"""A checkout of its own for a test that runs the pipeline by DVC, as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from triad.cli import STAGES
from triad.environment import ENVIRONMENT
from triad.workspace import prepare

ROOT = Path(__file__).parents[1]

# byte code is written, as on any user's machine: it lies in the folders of code that stages depend on
UNWANTED = ("MLFLOW_TRACKING_URI", "TRIAD_CHECKOUT", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


def checkout(folder: Path, params: str) -> Path:
    """A worktree of the present state with `params` laid over its params, and a DVC cache of its own."""
    overlay = folder.parent / "overlay.yaml"
    overlay.write_text(params)
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        prepare(overlay, folder)
    finally:
        os.chdir(before)
    (folder / ".dvc" / "config.local").write_text("")
    return folder


def run(folder: Path, *command: str, fails: bool = False, **more: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in UNWANTED} | more
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, said[-4000:]
    return said


RUN_STAGES = """
import importlib, logging, sys
logging.basicConfig(level=logging.INFO)
from triad.config.params import load
for name in sys.argv[1:]:
    getattr(importlib.import_module(f"triad.stages.{name}"), name)(load())
"""


def run_stages(folder: Path, last: str, *, fails: bool = False) -> str:
    """All stages to `last` in one process: what DVC does with a process a stage, in little more than half the time."""
    stages = STAGES[: STAGES.index(last) + 1]
    return run(folder, sys.executable, "-c", RUN_STAGES, *stages, fails=fails, **ENVIRONMENT)


def remove(folder: Path) -> None:
    """Take the worktree back."""
    subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=False)
