"""A workspace: a worktree of the present state, with a config laid over its params."""

import shutil
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


@pytest.mark.parametrize(
    "name", [" ", "a\nb", ".git/x", ".dvc/x", ".triad", "artifacts/w", "runs", "runs/retraining/x"]
)
def test_a_blank_or_reserved_name_is_refused(name: str, checkout: Path) -> None:
    with pytest.raises(TriadError, match=r"is no name of a folder|keeps its own things"):
        prepare(Path("overlay.yaml"), Path(name))
    assert not (checkout / name).exists() or not any((checkout / name).glob("params.yaml"))


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


def work(folder: Path, what: str) -> None:
    """Somebody's work in a worktree, of one kind or another."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    if what == "new":
        (folder / "new.py").write_text("somebody's")
    elif what == "params":
        (folder / "params.yaml").write_text((folder / "params.yaml").read_text() + "# somebody's")
    elif what == "removed":
        (folder / "code.py").unlink()
    elif what == "branch":
        subprocess.run([*git, "switch", "-q", "-c", "mine"], cwd=folder, check=True)
    else:
        (folder / "code.py").write_text("somebody's")
        if what != "tracked":
            subprocess.run([*git, "add", "code.py"], cwd=folder, check=True)
        if what == "committed":
            subprocess.run([*git, "commit", "-qm", "x"], cwd=folder, check=True)


@pytest.mark.parametrize("what", ["tracked", "staged", "committed", "new", "params", "removed", "branch"])
def test_somebodys_work_in_a_workspace_is_kept_unless_told(checkout: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "run"
    prepare(Path("overlay.yaml"), folder)
    (folder / "dvc.lock").write_text("what a run leaves")
    prepare(Path("overlay.yaml"), folder)
    work(folder, what)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(TriadError, match=r"somebody worked here: .*\n.*--discard"):
        prepare(Path("overlay.yaml"), folder)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    prepare(Path("overlay.yaml"), folder, discard=True)
    assert (folder / "code.py").read_text() == "committed" and not (folder / "new.py").exists()
    assert (folder / "dvc.lock").is_file()
    prepare(Path("overlay.yaml"), folder)


def test_a_worktree_that_triad_did_not_make_is_left(checkout: Path, tmp_path: Path) -> None:
    """The user's own, a copy of a workspace, a link, a file, another repository, a folder inside one, the checkout."""
    theirs = tmp_path / "theirs"
    subprocess.run(["git", "worktree", "add", "-q", "-b", "mine", str(theirs)], check=True)
    prepare(Path("overlay.yaml"), tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    (tmp_path / "gone").symlink_to(tmp_path / "none")
    subprocess.run(["git", "clone", "-q", str(checkout), str(tmp_path / "clone")], check=True)
    (tmp_path / "clone" / "inside").mkdir()
    (tmp_path / "clone" / "inside" / "code.py").write_text("committed")
    (tmp_path / "file").write_text("dear")
    for name in ("theirs", "copy", "link", "gone", "clone", "clone/inside", "file", "shop"):
        if (tmp_path / name / "code.py").is_file():
            (tmp_path / name / "code.py").write_text("somebody's")
        for discard in (False, True):
            with pytest.raises(TriadError, match="name a folder that does not exist yet"):
                prepare(Path("overlay.yaml"), tmp_path / name, discard=discard)
        if (tmp_path / name / "code.py").is_file():
            assert (tmp_path / name / "code.py").read_text() == "somebody's"
    said = subprocess.run(["git", "branch", "--show-current"], cwd=theirs, capture_output=True, text=True, check=True)
    assert said.stdout == "mine\n"


def test_a_worktree_whose_disk_is_away_stays_known(checkout: Path, tmp_path: Path) -> None:
    for name in ("theirs", "run"):
        if name == "theirs":
            subprocess.run(["git", "worktree", "add", "-q", "--detach", str(tmp_path / name)], check=True)
        else:
            prepare(Path("overlay.yaml"), tmp_path / name)
        (tmp_path / name).rename(tmp_path / f"{name} away")
    prepare(Path("overlay.yaml"), tmp_path / "run")  # ours may be made anew
    with pytest.raises(TriadError, match="whose folder is away"):
        prepare(Path("overlay.yaml"), tmp_path / "theirs")
    (tmp_path / "theirs away").rename(tmp_path / "theirs")
    subprocess.run(["git", "status"], cwd=tmp_path / "theirs", check=True, capture_output=True)


def test_another_repository_named_by_the_environment_is_not_touched(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Path("overlay.yaml"), tmp_path / "run")
    (checkout / "code.py").write_text("not yet committed")
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(checkout))
    prepare(Path("overlay.yaml"), tmp_path / "run")
    prepare(Path("overlay.yaml"), tmp_path / "run", discard=True)
    assert (checkout / "code.py").read_text() == "not yet committed"


def test_without_a_history_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TriadError, match="git clone"):
        prepare(Path("overlay.yaml"), tmp_path / "run")
