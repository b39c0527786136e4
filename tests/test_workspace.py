"""A workspace: a worktree of the present state, with a config laid over its params."""

import subprocess
from pathlib import Path

import pytest
import yaml

from triad.errors import TriadError
from triad.workspace import prepare

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (folder / "code.py").write_text("committed")
    (folder / "overlay.yaml").write_text("ingest: {as_of: 2026-03-02, simulated: {size: tiny}}")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def test_it_holds_uncommitted_work_and_the_config(checkout: Path, tmp_path: Path) -> None:
    (checkout / "code.py").write_text("not yet committed")
    said = prepare(Path("overlay.yaml"), tmp_path / "run")
    assert "dvc repro" in said
    assert (tmp_path / "run" / "code.py").read_text() == "not yet committed"
    params = yaml.safe_load((tmp_path / "run" / "params.yaml").read_text())
    assert params["ingest"]["simulated"]["size"] == "tiny"
    assert (params["ingest"]["as_of"], params["ingest"]["window_days"]) == ("2026-03-02", 56)
    assert str(checkout / ".dvc" / "cache") in (tmp_path / "run" / ".dvc" / "config.local").read_text()
    assert subprocess.run(["git", "stash", "list"], capture_output=True, check=True).stdout == b""


def test_a_second_call_renews_it_and_keeps_outputs(checkout: Path, tmp_path: Path) -> None:
    prepare(Path("overlay.yaml"), tmp_path / "run")
    (tmp_path / "run" / "artifacts").mkdir()
    (checkout / "code.py").write_text("newer")
    prepare(Path("overlay.yaml"), tmp_path / "run")
    assert (tmp_path / "run" / "code.py").read_text() == "newer"
    assert (tmp_path / "run" / "artifacts").is_dir()


def test_what_cannot_be_is_refused(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(TriadError, match="no such file"):
        prepare(Path("none.yaml"), tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(TriadError, match="holds files of its own"):
        prepare(Path("overlay.yaml"), tmp_path / "mine")
    (checkout / "overlay.yaml").write_text("ingest: {sise: tiny}")
    with pytest.raises(TriadError, match="sise: unknown key"):
        prepare(Path("overlay.yaml"), tmp_path / "run")
