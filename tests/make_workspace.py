"""A checkout of its own for a test that runs the pipeline by DVC, as its users run it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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


def run(folder: Path, *command: str, fails: bool = False) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, said[-4000:]
    return said


def remove(folder: Path) -> None:
    """Take the worktree back."""
    subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=False)
