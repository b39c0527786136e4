"""Nothing is removed that Triad did not make, whatever it is called and wherever it lies."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from make_pipeline import make_repository

from triad.errors import TriadError
from triad.removal import checked_name, checked_part, remove
from triad.retraining import delivery
from triad.retraining.commands import retraining
from triad.retraining.opening import open_run
from triad.retraining.pruning import _cache, _deliveries, _workspaces
from triad.retraining.run import Run, slug
from triad.retraining.stage import run_stage

NO_NAMES = ["", " ", "\t", ".", "..", "...", "\n", "a\nb", "a\0b", "a\x7f", "\x1b[2J", "--help", "x" * 251, "\ud800"]


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(TriadError, match="to fix it"):
        checked_name(name, "RUN_ID")
    with pytest.raises(TriadError):
        slug(name)


@pytest.mark.parametrize("name", ["a/b", "../x", "/etc", "/"])
def test_a_part_of_a_path_holds_no_slash(name: str) -> None:
    with pytest.raises(TriadError, match="a path, not a name"):
        checked_part(name, "stage")


@pytest.mark.parametrize(
    "name", ["/", "///", "ü", "é" * 250, "scheduled__2026-03-01T00:00:00+00:00", "x" * 250, ".git"]
)
def test_a_name_becomes_one_folder_that_a_file_system_takes(name: str) -> None:
    found = slug(name)
    assert "/" not in found and not found.startswith((".", "-")) and 0 < len(found.encode()) < 200
    assert slug(name + "'") != found if len(name) < 250 else True


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("runs/night", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "letter").write_text("dear")
    (tmp_path / "mark").write_text("")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("runs/link", "is a link"),
        ("runs", "does not lie below"),
        ("runs/.", "does not lie below"),
        ("runs/night/..", "does not lie below"),
        ("elsewhere", "does not lie below"),
        ("runs/../elsewhere", "does not lie below"),
        ("runs/night/../../elsewhere", "does not lie below"),
        ("runs/none", "is no folder"),
        ("runs/night/letter", "is no folder"),
    ],
)
def test_only_a_folder_below_is_removed(place: Path, folder: str, why: str) -> None:
    with pytest.raises(TriadError, match=why):
        remove(place / folder, below=place / "runs", mark=place / "mark")
    assert [(place / name / "letter").read_text() for name in ("runs/night", "elsewhere")] == ["dear", "dear"]


def test_only_what_has_a_mark_is_removed_and_through_a_linked_parent_too(place: Path) -> None:
    with pytest.raises(TriadError, match="no mark"):
        remove(place / "runs" / "night", below=place / "runs", mark=place / "runs" / "night" / "mark")
    (place / "disk").symlink_to(place / "runs")
    remove(place / "disk" / "night", below=place / "disk", mark=place / "mark")
    assert [path.name for path in (place / "runs").iterdir()] == ["link"]


def test_opening_a_run_without_a_name_leaves_all_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    kept = shop / "runs" / "retraining" / "other" / "result"
    kept.parent.mkdir(parents=True)
    kept.write_text("of a night")
    for run_id in ("", " ", ".", "..", "\n", "-"):
        with pytest.raises(TriadError, match="RUN_ID"):
            open_run(run_id, "2026-03-01")
        assert kept.read_text() == "of a night"


def test_opening_leaves_what_it_did_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    monkeypatch.delenv("TRIAD_WORKSPACES", raising=False)
    runs = shop / "runs" / "retraining"
    (runs / "mine").mkdir(parents=True)
    (runs / "mine" / "letter").write_text("dear")
    (runs / "link").symlink_to(runs / "mine")
    (runs / "nowhere").symlink_to(runs / "none")
    (runs / "file").write_text("dear")
    for name in ("mine", "link", "nowhere", "file"):
        with pytest.raises(TriadError, match=f"{name}: .*so it is not removed"):
            open_run(name, "2026-03-01")
    assert (runs / "mine" / "letter").read_text() == "dear" and (runs / "link").is_symlink()
    folder = open_run("night", "2026-03-01").folder
    (folder / ".triad" / "run.json").unlink()
    (folder / "step.py").write_text("somebody's")
    with pytest.raises(TriadError, match=r"somebody worked here: step\.py"):
        open_run("night", "2026-03-01")
    assert (folder / "step.py").read_text() == "somebody's"


def test_a_stage_is_no_path_to_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    run = open_run("night", "2026-03-01")
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(TriadError, match="a path, not a name"):
        run_stage("../" * 6 + "mine", run)
    assert (tmp_path / "mine.json").is_file()


def test_a_copied_record_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    run = open_run("night", "2026-03-01")
    copy = tmp_path / "copy" / ".triad"
    copy.mkdir(parents=True)
    (copy / "run.json").write_bytes((run.folder / ".triad" / "run.json").read_bytes())
    with pytest.raises(TriadError, match="its record is of"):
        Run.read(copy.parent)


def test_pruning_removes_deliveries_alone(tmp_path: Path) -> None:
    ours = tmp_path / "2026-01-01-v3-0123abcd"
    kept = [tmp_path / name for name in ("holiday-v2-final", "2026-01-01-v1-deadbeef", "2026-01-02-v1-deadbeef")]
    for folder in (ours, *kept):
        folder.mkdir()
    (tmp_path / "2026-01-03-v3-0123abcd").symlink_to(kept[0])
    for folder in (ours, kept[2]):  # the last is called otherwise than it says
        (folder / delivery.SUMMARY).write_text(json.dumps({"as_of": "2026-01-01", "model_version": "3"}))
    for folder in (ours, *kept):
        os.utime(folder, (time.time() - 99 * 86400,) * 2)
    os.utime(tmp_path / "2026-01-03-v3-0123abcd", (0, 0), follow_symlinks=False)
    assert _deliveries(tmp_path, 14) == [ours.name]
    assert all(folder.is_dir() for folder in kept) and not ours.exists()


def test_a_delivery_does_not_take_the_place_of_somebodys_folder(tmp_path: Path) -> None:
    lists, target = tmp_path / "lists", tmp_path / ".triad" / "delivered" / "current"
    lists.mkdir()
    (lists / "summary.json").write_text(json.dumps({"as_of": "2026-01-01", "model_version": "3"}))
    for make in (target.mkdir, target.touch):
        target.parent.mkdir(parents=True, exist_ok=True)
        make()
        with pytest.raises(TriadError, match=r"current: is no link of Triad's"):
            delivery.hand_over(lists, tmp_path, "3")
        target.rmdir() if target.is_dir() else target.unlink()


def test_pruning_leaves_a_workspace_that_somebody_worked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    monkeypatch.delenv("TRIAD_WORKSPACES", raising=False)
    runs = {name: open_run(name, "2026-03-01").folder for name in ("edited", "untouched", "copied", "others")}
    (runs["edited"] / "step.py").write_text("somebody's")
    (runs["untouched"] / "dvc.lock").write_text("stages: {}\n")
    record = runs["others"] / ".triad" / "run.json"
    record.write_text(record.read_text().replace(f'"checkout": "{shop}"', '"checkout": "/elsewhere"'))
    shutil.copyfile(runs["untouched"] / ".triad" / "run.json", runs["copied"] / ".triad" / "run.json")
    for folder in runs.values():
        for path in (folder / ".triad").iterdir():
            os.utime(path, (0, 0))
    theirs = tmp_path / "theirs"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(theirs)], cwd=shop, check=True)
    theirs.rename(tmp_path / "away")  # on a disk that is not mounted now
    assert _workspaces(shop, 14, 0) == ["untouched"]
    assert [name for name, folder in runs.items() if folder.is_dir()] == ["edited", "copied", "others"]
    (tmp_path / "away").rename(theirs)
    subprocess.run(["git", "status"], cwd=theirs, check=True, capture_output=True)


def hide_a_change(folder: Path, how: str) -> None:
    (folder / "step.py").write_text("somebody's")
    subprocess.run(["git", "update-index", how, "step.py"], cwd=folder, check=True)


def results_below_runs(folder: Path) -> None:
    (folder / "runs" / "study").mkdir(parents=True)
    (folder / "runs" / "study" / "mine.csv").write_text("somebody's")


HIDDEN = {
    "what their own settings ignore": lambda folder: (folder / "my.ipynb").write_text("somebody's"),
    "what git is not to look at": lambda folder: hide_a_change(folder, "--assume-unchanged"),
    "what a sparse checkout passes over": lambda folder: hide_a_change(folder, "--skip-worktree"),
    "results of a study": results_below_runs,
    "a lock": lambda folder: subprocess.run(["git", "worktree", "lock", str(folder)], cwd=folder, check=True),
}


def test_pruning_leaves_work_that_git_status_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    monkeypatch.delenv("TRIAD_WORKSPACES", raising=False)
    (tmp_path / "ignore").write_text("*.ipynb\n")
    subprocess.run(["git", "config", "core.excludesFile", str(tmp_path / "ignore")], cwd=shop, check=True)
    folders = {work: open_run(f"night{place}", "2026-03-01").folder for place, work in enumerate(["ours", *HIDDEN])}
    (folders["ours"] / "metrics.json").write_text("a stage's")
    for work, hide in HIDDEN.items():
        hide(folders[work])
    for folder in folders.values():
        for path in (folder / ".triad").iterdir():
            os.utime(path, (0, 0))
    assert _workspaces(shop, 14, 0) == ["night0"]
    assert [work for work, folder in folders.items() if folder.is_dir()] == [*HIDDEN]


def test_fewer_than_none_are_not_kept() -> None:
    for dial in ("--keep", "--keep-days"):
        said = CliRunner().invoke(retraining, ["prune", dial, "-1"])
        assert said.exit_code == 2 and "-1 is not in the range" in said.output


def test_a_cache_that_others_may_use_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_repository(tmp_path / "shop")
    others = tmp_path / "cache" / "files" / "md5" / "00" / ("1" * 30)
    others.parent.mkdir(parents=True)
    others.write_text("another project's")
    (shop / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    assert _cache(shop, 14) == 0
    assert others.read_text() == "another project's"
