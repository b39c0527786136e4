"""What the machine lacks, a stage out of order, a plain terminal: told as all errors are, without a traceback."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from make_workspace import ROOT

from triad import plain
from triad.cli import STAGES
from triad.errors import TriadError
from triad.machine import faults_explained, translated
from triad.pipeline import check_stage

TINY = """
ingest: {as_of: '2026-03-01', simulated: {size: tiny}}
tasks: {click: {kind: binary, label: clicked}}
recommend: {order_by: click}
"""


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "artifacts/x"), "no space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "artifacts/x"), "no space left"),
        (OSError(errno.EFBIG, "File too large", "artifacts/x"), "no space left"),
        (OSError("1000 requested and 0 written"), "no space left"),
        (sqlite3.OperationalError("database or disk is full"), "no space left"),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), "no space left"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "read-only"),
        (OSError(errno.EROFS, "Read-only file system", "artifacts/x"), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "artifacts/x"), "may not"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "artifacts/x"), "too long"),
        (OSError(errno.EMFILE, "Too many open files", "artifacts/x"), "too many files"),
        (MemoryError(), "no memory left"),
        (MemoryError("Unable to allocate 7.45 TiB for an array"), "no memory left"),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data of size 1"), "no memory left"),
        (OSError(errno.ENOLCK, "No locks available", "artifacts/.x.lock"), "keeps no locks"),
        (OSError(errno.EIO, "Input/output error", "artifacts/x"), "does not answer"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "artifacts/x"), "stands there"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_what_the_machine_lacks_is_told(error: Exception, what: str) -> None:
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("a library's own words") from cause
    except RuntimeError as wrapped:
        found = translated(wrapped)
    assert found is not None and what in found.what and found.mend
    assert found.where == (getattr(error, "filename", None) or str(error) or "MemoryError")
    assert found.transient == (what in ("no space left", "too many files", "no memory left", "does not answer"))


def test_a_fault_of_the_program_stays_one() -> None:
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "No such file", "x"), KeyError("disk")):
        with pytest.raises(type(error)), faults_explained():
            raise error


WITHOUT = ("LC_", "LANG", "PYTHONUTF8", "MLFLOW_TRACKING", "TRIAD_CHECKOUT", "COVERAGE_")
"""What a test before this one, or MLflow in this process, may have left in the environment; and coverage, which cannot
write its own file where the test lets no file be written and prints a traceback at the end."""


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(WITHOUT)}
    return subprocess.run(
        [sys.executable, "-m", "triad", *words],
        cwd=folder,
        env=environment | more,
        capture_output=True,
        encoding="latin-1",
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    assert "\nerror " in done.stderr and "to fix it: " in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(TINY)
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    return tmp_path


def test_a_file_that_may_not_grow_is_told_and_nothing_is_left(folder: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        done = run(folder, "ingest")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "no space left on the disk" in refused(done)
    assert not (folder / "artifacts" / "ingest" / "tables").exists()


def test_what_stands_in_the_way_is_named(folder: Path) -> None:
    (folder / "artifacts").write_text("a file")
    assert "artifacts" in refused(run(folder, "ingest"))


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("ingest", "champion")])
def test_a_stage_out_of_order_names_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(TriadError, match=r"artifacts/(\w+).*: is not there yet\n.*run the stage \1 first"):
        check_stage(stage, "full")


@pytest.mark.parametrize("words", [["features"], ["summary"], ["why", "1"]], ids=" ".join)
def test_a_command_out_of_order_is_an_error_that_can_be_read(folder: Path, words: list[str]) -> None:
    refused(run(folder, *words))
    assert not (folder / "mlflow.db").exists()


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "- a\n- b\n", "just words", "a: [", "\xff"], ids=repr)
def test_params_that_are_none_are_an_error_that_can_be_read(folder: Path, text: str | None) -> None:
    (folder / "params.yaml").unlink()
    if text is not None:
        (folder / "params.yaml").write_bytes(text.encode("latin-1"))
    from triad.config.params import load

    with pytest.raises(TriadError, match=r"params\.yaml"):
        load(folder / "params.yaml")


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_a_plain_terminal_is_spoken_to_in_its_signs(folder: Path, locale: dict[str, str]) -> None:
    (folder / "params.yaml").write_text(TINY.replace("simulated", "'x→': 1, simulated"), encoding="utf-8")
    assert "->: unknown key" in refused(run(folder, "ingest", **locale))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_takes_everything_and_no_file_has_its_number(folder: Path, closed: str) -> None:
    code = "import os, sys; from triad import environment; environment.open_closed(); print('said'); "
    code += "sys.stderr.write('said'); sys.exit(os.open('written', os.O_CREAT) <= 2)"
    done = subprocess.run(["bash", "-c", f'"{sys.executable}" -c "{code}" {closed}'], cwd=folder, check=False)
    assert done.returncode == 0


def test_near_signs_stand_for_those_that_a_terminal_lacks() -> None:
    plain.speak()
    assert "── · 0.747 → ≥ λ 名".encode("ascii", "triad.plain") == b"-- * 0.747 -> >= lambda ?"
    assert "Größe·→".encode("latin-1", "triad.plain") == "Größe·->".encode("latin-1")
