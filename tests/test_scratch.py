"""A process's temporary files lie in one folder, which goes with it or, if it was killed, with the next one's start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from triad import scratch

WORK = """
import sys, tempfile, time
from triad import scratch
{before}
scratch.begin()
from triad.tables import SPILL, confinement
assert scratch.PREFIX in confinement()[0], "what a database spills lies there, too"
with tempfile.TemporaryDirectory() as held:
    open(held + "/rows", "w").write("of the shop")
    print(tempfile.gettempdir(), flush=True)
    {then}
"""


def _start(temporary: Path, then: str, before: str = "") -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK.format(before=before, then=then)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_it_goes_with_its_process_whether_that_ends_well_or_not(tmp_path: Path) -> None:
    for then, status in (("pass", 0), ("1 / 0", 1)):
        process, root = _start(tmp_path, then)
        process.communicate()
        assert (process.returncode, root.parent) == (status, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_others_hold_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, kept = _start(tmp_path, "time.sleep(60)")
    killed, lost = _start(tmp_path, "time.sleep(60)")
    _end(killed)
    try:
        half = tmp_path / f".gone-{lost.name}-0123abcd"
        half.mkdir()
        of_somebody = [
            tmp_path / name for name in ("triad-scratch-notes", "triad-scratch-", "else", ".gone-x-0123abcd")
        ]
        for folder in of_somebody:
            folder.mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "lock").write_text("")
        (tmp_path / "triad-scratch-linked12").symlink_to(tmp_path / "elsewhere")
        scratch.sweep(tmp_path)
        assert lost.is_dir() and not half.exists(), "it may be one that begins"
        monkeypatch.setattr(scratch, "YOUNG", -1.0)
        scratch.sweep(tmp_path)
        assert not lost.exists() and list(kept.glob("*/rows"))
        assert all(folder.is_dir() for folder in (*of_somebody, tmp_path / "elsewhere"))
    finally:
        _end(alive)
    scratch.sweep(tmp_path)
    assert not kept.exists()


def test_a_fork_that_ends_takes_nothing_along(tmp_path: Path) -> None:
    forks = (
        "import atexit, os; child = os.fork(); child or (atexit._run_exitfuncs(), os._exit(0)); "
        "os.waitpid(child, 0); print(os.path.isdir(tempfile.gettempdir()))"
    )
    process, _ = _start(tmp_path, forks)
    assert process.communicate()[0].split()[-1] == "True"
    assert list(tmp_path.iterdir()) == []


def test_without_room_the_systems_folder_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(**more: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    scratch.begin()
    assert tempfile.gettempdir() == str(tmp_path)


def test_every_process_of_triad_has_one(tmp_path: Path) -> None:
    with_key = {**os.environ, "TMPDIR": str(tmp_path)}
    old = tmp_path / "triad-scratch-abcd1234"
    old.mkdir()
    (old / "lock").write_text("")
    os.utime(old, (0, 0))
    subprocess.run([sys.executable, "-m", "triad", "params", "publish.model"], env=with_key, check=True)
    assert list(tmp_path.iterdir()) == []
    workers = (Path(scratch.__file__).parent / "serving" / "commands.py").read_text(encoding="utf-8")
    assert re.search(r"def app\(\).*?scratch\.begin\(\)", workers, re.DOTALL)
