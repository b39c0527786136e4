"""The life of a run on a tiny pipeline: opened, run stage by stage, closed, restored, repeated, pruned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from make_pipeline import (
    DVC_YAML,
    SHORT_YAML,
    STAGES,
    commit,
    ended,
    environment,
    make_repository,
    night,
    opened,
    results,
    retraining,
    start,
    wait_for,
)

from triad.artifacts import TABLES, write_json
from triad.errors import TriadError
from triad.retraining import graph, nights
from triad.retraining.delivery import newest
from triad.retraining.opening import _pin_starts
from triad.retraining.run import CLOSED, RECORD, slug


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """With a pipeline of one stage."""
    return make_repository(tmp_path / "shop", dvc_yaml=SHORT_YAML)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def state(checkout: Path) -> tuple[str, str, str]:
    return git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "HEAD"), git(checkout, "branch")


@pytest.mark.proof
def test_a_night_is_restored_from_its_branch_and_the_remote_alone(shop: Path, tmp_path: Path) -> None:
    (shop / "params.yaml").write_text("a person's: work\n")
    before = state(shop)
    folder, said = night(shop, "scheduled__2026-03-01T00:00:00+00:00")
    assert said["pushed"] is True
    assert state(shop)[:2] == before[:2], "the checkout was touched"
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(shop), str(clone)], check=True)
    git(clone, "checkout", "--quiet", said["branch"])
    for words in (["pull"], ["status"]):
        command = [sys.executable, "-m", "dvc", *words]
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout
    assert results(clone) == results(folder)
    assert yaml.safe_load((clone / "params.yaml").read_text())["ingest"]["as_of"] == "2026-03-01"
    assert git(clone, "diff", "--name-only", "HEAD~1").split() == ["dvc.lock", "metrics.json", "params.yaml"]


@pytest.mark.proof
def test_closing_again_changes_nothing_and_a_second_run_of_the_day_has_its_own_branch(short: Path) -> None:
    folder, said = night(short, "first", stages=["join"])
    assert retraining(short, "close", "--workspace", str(folder)) == said
    (folder / ".triad" / "closed.json").unlink()  # killed before it was written
    assert retraining(short, "close", "--workspace", str(folder)) == said
    runs = [opened(short, name, "2026-03-01", "--set", f"left.size={size}") for size, name in ((2, "b"), (3, "c"))]
    for run in runs:
        retraining(short, "stage", "join", "--workspace", str(run))
    both = [ended(process) for process in [start(short, "close", "--workspace", str(run)) for run in runs]]
    branches = {said["branch"] for _, said, _ in both}
    assert branches == {"retrain/2026-03-01-2", "retrain/2026-03-01-3"}


@pytest.mark.proof
def test_a_day_repeated_skips_what_is_unchanged(shop: Path) -> None:
    folder, _ = night(shop, "first")
    again = opened(shop, "again", "2026-03-01", "--set", "left.size=2")
    changed = {name: retraining(shop, "stage", name, "--workspace", str(again))["changed"] for name in STAGES}
    # the pipeline's own left does not depend on its parameter's value, but DVC cannot know
    assert changed == {"prepare": False, "left": True, "right": False, "join": False}
    assert results(again) == results(folder)


@pytest.mark.proof
def test_a_plan_says_what_would_run_and_runs_nothing(shop: Path) -> None:
    assert retraining(shop, "plan", "--workspace", str(opened(shop, "first")))["would_run"] == list(STAGES)
    night(shop, "first")
    again = opened(shop, "again", "2026-03-01", "--set", "left.size=2")
    assert retraining(shop, "plan", "--workspace", str(again))["would_run"] == ["left", "join"]
    assert not (again / "out").exists()


@pytest.mark.proof
def test_an_export_that_was_mended_is_read_again(tmp_path: Path) -> None:
    """By a run that is continued, and by another run of the same day; what did not change costs nothing further on."""
    pipeline = DVC_YAML.replace("  prepare:\n", "  prepare:\n    meta: {reads_source: true}\n")
    shop, export = make_repository(tmp_path / "shop", dvc_yaml=pipeline), tmp_path / "export"

    def changed(folder: Path) -> list[bool]:
        said = [retraining(shop, "stage", name, "--workspace", str(folder), EXPORT=str(export)) for name in STAGES]
        return [one["changed"] for one in said]

    export.write_text("spoilt")
    first = opened(shop, "first")
    assert changed(first) == [True] * 4
    assert changed(first) == [True, False, False, False]
    export.write_text("mended")
    assert changed(first) == [True] * 4
    retraining(shop, "close", "--workspace", str(first))
    export.write_text("mended again")
    second = opened(shop, "second")
    assert changed(second) == [True] * 4
    assert results(first) != results(second)


def test_a_failed_push_is_done_again_and_leaves_no_branch(short: Path) -> None:
    folder = opened(short, "night")
    retraining(short, "stage", "join", "--workspace", str(folder))
    store = short.parent / "store"
    store.write_text("a file where the remote's folder should be")
    assert "dvc push failed" in retraining(short, "close", "--workspace", str(folder), code=1)["error"]["what"]
    assert "retrain/" not in git(short, "branch")
    store.unlink()
    assert retraining(short, "close", "--workspace", str(folder))["pushed"] is True


def test_without_a_remote_closing_says_so(short: Path) -> None:
    (short / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    commit(short, "no remote")
    _, said = night(short, "night", stages=["join"])
    assert said["pushed"] is False and said["branch"] == "retrain/2026-03-01"


def test_an_unfinished_run_is_not_closed(shop: Path) -> None:
    folder = opened(shop, "night")
    retraining(shop, "stage", "prepare", "--workspace", str(folder))
    assert (
        "not done: left, right, join" in retraining(shop, "close", "--workspace", str(folder), code=3)["error"]["what"]
    )


def test_a_workspace_is_of_the_committed_revision_and_kept_when_opened_again(shop: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    (shop / "step.py").write_text("not committed")
    folder = opened(shop, "night")
    assert "not committed" not in (folder / "step.py").read_text()
    retraining(shop, "stage", "prepare", "--workspace", str(folder))
    commit(shop, "second")
    again = retraining(shop, "open", "night", "--as-of", "2026-03-01")
    assert again["revision"] == first
    assert retraining(shop, "stage", "prepare", "--workspace", str(folder))["changed"] is False
    assert "was opened for" in retraining(shop, "open", "night", "--as-of", "2026-03-02", code=3)["error"]["what"]
    assert git(opened(shop, "older", TRIAD_REVISION=first), "rev-parse", "HEAD") == first


def test_an_opening_that_was_killed_is_made_anew(shop: Path) -> None:
    folder = opened(shop, "night")
    (folder / ".triad" / "run.json").unlink()
    (folder / "params.yaml").write_text("cut sho")
    assert opened(shop, "night") == folder
    assert "2026-03-01" in (folder / "params.yaml").read_text()


def test_exit_codes_tell_what_a_retry_can_mend(shop: Path) -> None:
    folder = opened(shop, "night")

    def stage(ways: str, code: int) -> dict:
        step = f'{{"prepare": {ways}}}'
        return retraining(shop, "stage", "prepare", "--workspace", str(folder), code=code, STEP=step)["error"]

    told = '"error": {"what": "bad row", "where": "users", "mend": "x", "redo": null, "transient": %s}, "exit": 1'
    assert stage("{" + told % "false" + "}", 3)["what"] == "bad row"
    assert stage("{" + told % "true" + "}", 1)["what"] == "bad row"
    assert "exited with 7" in stage('{"exit": 7}', 1)["what"]
    assert retraining(shop, "stage", "none", "--workspace", str(folder), code=1)["error"]["where"] == "stage none"
    (folder / "out").mkdir(exist_ok=True)
    (folder / ".triad" / "prepare.pid").unlink()  # of the attempts above
    busy = start(shop, "stage", "prepare", "--workspace", str(folder), STEP='{"prepare": {"sleep": 60}}')
    wait_for(folder / ".triad" / "prepare.pid")
    assert "is busy" in retraining(shop, "stage", "left", "--workspace", str(folder), code=1)["error"]["what"]
    busy.terminate()
    assert ended(busy)[0] == 1


def test_runs_have_folders_of_their_own() -> None:
    assert slug("nightly-1") == "nightly-1"
    assert slug("a:b") != slug("a+b")
    assert "/" not in slug("../../etc") and not slug("../x").startswith(".")


TEMPLATES = """
vars: [{sizes: [1, 2]}]
stages:
  join:
    cmd: cat data/1/x data/2/x
    deps: [data]
    desc: All of them
    outs: [all]
  make:
    foreach: ${sizes}
    do:
      cmd: make ${item}
      outs: ['data/${item}']
      meta: {pool: gpu, timeout_minutes: 5, retries: 1}
"""


def test_the_graph_is_as_dvc_has_it_and_read_back_without_dvc(tmp_path: Path) -> None:
    shop = make_repository(tmp_path / "shop", dvc_yaml=TEMPLATES)
    found = {stage.name: stage for stage in graph.stages(shop)}
    assert list(found) == ["make@1", "make@2", "join"]
    assert found["join"].after == ("make@1", "make@2")
    assert found["make@1"].meta == {"pool": "gpu", "timeout_minutes": 5, "retries": 1}
    assert found["join"].description == "All of them"
    ask = (
        "import sys; from pathlib import Path; from triad.retraining.graph import stages; "
        "print(len(stages(Path('.'))), 'dvc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", ask], cwd=shop, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["3", "False"]
    (shop / "dvc.yaml").write_text(TEMPLATES.replace("[1, 2]", "[1, 2, 3]"))
    assert len(graph.stages(shop)) == 4


def age(folder: Path, days: float) -> None:
    for name in ("run.json", "closed.json", "in_use.lock"):
        if (folder / ".triad" / name).exists():
            os.utime(folder / ".triad" / name, (time.time() - days * 86400,) * 2)


@pytest.mark.proof
def test_pruning_keeps_what_the_rule_keeps(shop: Path) -> None:
    closed = [night(shop, f"n{day}", f"2026-03-0{day}")[0] for day in (1, 2, 3)]
    failed, old = opened(shop, "failed"), opened(shop, "old")
    retraining(shop, "stage", "prepare", "--workspace", str(old))
    for folder, days in ((closed[0], 3), (closed[1], 2), (closed[2], 1), (failed, 13), (old, 15)):
        age(folder, days)
    said = retraining(shop, "prune", "--keep-days", "14", "--keep", "2")
    assert sorted(said["workspaces"]) == ["n1", "old"]
    assert str(closed[0]) not in git(shop, "worktree", "list")
    # the data of a recent night is in the cache still, though its workspace is gone and the remote is away
    shutil.rmtree(shop.parent / "store")
    clone = shop.parent / "clone"
    git(shop, "worktree", "add", "--quiet", str(clone), "retrain/2026-03-01")
    (clone / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {shop / '.dvc' / 'cache'}\n")
    subprocess.run([sys.executable, "-m", "dvc", "checkout"], cwd=clone, check=True, env=environment(shop))
    assert (clone / "out" / "join" / "data").is_file()


def test_pruning_leaves_a_workspace_that_is_worked_in(shop: Path) -> None:
    folder = opened(shop, "night")
    busy = start(shop, "stage", "prepare", "--workspace", str(folder), STEP='{"prepare": {"sleep": 60}}')
    wait_for(folder / ".triad" / "prepare.pid")
    age(folder, 99)
    assert retraining(shop, "prune")["workspaces"] == []
    busy.kill()  # the guard ends the rest
    ended(busy)
    age(folder, 99)
    deadline = time.monotonic() + 40
    while retraining(shop, "prune")["workspaces"] != ["night"]:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("left.size=[", "its value is not readable as YAML"),
        ("ingest.as_of=2026-03-05", "the day of a run is named once"),
    ],
)
def test_a_setting_that_cannot_be_is_for_a_person_to_mend(short: Path, setting: str, message: str) -> None:
    said = retraining(short, "open", "night", "--as-of", "2026-03-01", "--set", setting, code=3)["error"]
    assert (said["what"], said["where"]) == (message, f"--set {setting}")
    assert opened(short, "night").is_dir()


def test_params_of_a_wrong_kind_are_refused_by_their_key(tmp_path: Path) -> None:
    params = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
    for every in ("x", None, 0, [2]):
        with pytest.raises(TriadError, match=r"retraining\.full_every_days"):
            nights.settle(tmp_path, {**params, "retraining": {"full_every_days": every}}, tmp_path, None)
    for section in (None, 5, "light", []):  # the revision's own code says what is wrong with it
        assert nights.settle(tmp_path, {**params, "retraining": section}, tmp_path, None) == "full"
        _pin_starts({**params, "pretrain": section}, tmp_path, tmp_path)


def test_lists_are_made_from_the_newest_day_and_not_from_a_backfill(tmp_path: Path) -> None:
    shop = make_repository(tmp_path / "shop")
    for closed, (name, as_of) in enumerate(
        [("a", "2026-03-01"), ("b", "2026-03-02"), ("c", "2026-03-02"), ("d", "2026-02-01")]
    ):
        folder = shop / "runs" / "retraining" / name
        (folder / TABLES).mkdir(parents=True)
        write_json(folder / RECORD, {"as_of": as_of})
        write_json(folder / CLOSED, {})
        os.utime(folder / CLOSED, (closed, closed))
    assert newest(shop).name == "c"
    shutil.rmtree(shop / "runs" / "retraining" / "c" / TABLES)
    assert newest(shop).name == "b"
