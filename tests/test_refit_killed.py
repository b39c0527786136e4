"""`triad refit` of a whole night, rehearsal and all, killed while each of its networks learns: it ends the same."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from make_workspace import checkout, remove, run, run_stages
from tiny_shop import FUNNEL

from triad.environment import ENVIRONMENT

pytestmark = pytest.mark.proof

SHOP = (
    FUNNEL
    + """\
pretrain: {max_epochs: 2, checkpoint_steps: 1, trunk: {layers: 1}}
finetune: {max_epochs: 1, checkpoint_steps: 1, source_gate: false}
fuse: {bootstrap: 20}
"""
)
REFIT = (sys.executable, "-m", "triad", "refit")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = checkout(tmp_path_factory.mktemp("refit") / "shop", SHOP)
    run_stages(folder, "fuse")
    yield folder
    remove(folder)


def digests(folder: Path) -> dict[str, str]:
    """Each file below `folder`, and what it holds."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def trainings(shop: Path) -> int:
    """Networks that have a checkpoint: one that knows the days before fusion, before test, and at last all."""
    return sum(1 for _ in (shop / ".triad" / "checkpoints").glob("refit-*/*.index"))


def killed(shop: Path, at: int) -> None:
    """Begins the refit, and kills it when network number `at` has saved its first checkpoint."""
    process = subprocess.Popen(REFIT, cwd=shop, env=os.environ | ENVIRONMENT, start_new_session=True)
    while trainings(shop) < at:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_rehearsal_that_was_killed_ends_byte_for_byte_the_same(shop: Path) -> None:
    run(shop, *REFIT, **ENVIRONMENT)
    whole = digests(shop / "artifacts" / "refit")
    assert whole
    for at in (1, 2, 3):
        killed(shop, at)
        assert digests(shop / "artifacts" / "refit") == whole, "what was there stays until all is made"
        assert "goes on from its checkpoint" in run(shop, *REFIT, **ENVIRONMENT)
        assert digests(shop / "artifacts" / "refit") == whole
