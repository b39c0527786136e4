"""Where a person still lies, what has learned from them, and what retention takes and never takes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from make_night import inside
from make_pipeline import commit, make_repository

from triad.artifacts import write_json
from triad.cli import commands
from triad.day_store import DayStore
from triad.privacy import forgotten, learned, whereabouts
from triad.privacy.learned import Learner, tainted
from triad.privacy.looking import Names
from triad.privacy.pseudonyms import Key
from triad.redaction import KEY, tag
from triad.retraining.stage import KEPT, _mend_lock
from triad.texts import Texts
from triad.tracking import retained

SECRET = "a key of the shop's, long enough"
DVC_YAML = """
stages:
  ingest:
    cmd: python step.py
    params: [ingest.as_of]
    deps: [source]
    outs: [{artifacts/ingest/tables: {persist: true}}]
"""
STEP = "import shutil; shutil.copytree('source', 'artifacts/ingest/tables', dirs_exist_ok=True)\n"
VARIABLES = (KEY, "TRIAD_CHECKOUT", "MLFLOW_TRACKING_URI", "TRIAD_DELIVERY", "TRIAD_WORKSPACES", "TRIAD_SIGNING_KEY")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(commands, arguments)


def git(*words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def dvc(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True)


FILES = {
    "a table": ("t.parquet", lambda path, id_: pq.write_table(pa.table({"n": [1, 2], "who": ["other", id_]}), path)),
    "texts": ("t.arrow", lambda path, id_: Texts.of(["other", id_]).save(path)),
    "an array": ("t.npy", lambda path, id_: np.save(path, np.array(["other", id_]))),
    "arrays": ("t.npz", lambda path, id_: np.savez(path, who=np.array(["other", id_]), n=np.arange(3))),
    "a page": ("t.html", lambda path, id_: path.write_text(f"<td>{id_.replace('&', '&amp;')}</td>")),
    "JSON": ("t.json", lambda path, id_: write_json(path, {"users": ["other", id_]})),
    "a list": ("t.csv", lambda path, id_: path.write_text(f"user,rank\n{id_},1\n")),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("id_", ["u0003", "anna.meyer@shop.de", "müller & sons"])
@pytest.mark.parametrize("hashed", [False, True])
def test_every_layout_is_looked_into(
    kind: str, id_: str, hashed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    name, write = FILES[kind]
    write(tmp_path / name, Key(SECRET.encode()).pseudonym(id_) if hashed else id_)
    assert Names.of([id_]).below(tmp_path) == {tmp_path / name: 1}
    assert Names.of([id_[:-1], id_ + "x", "nobody"]).below(tmp_path) == {}


def test_a_mark_in_a_message_tells_of_a_person_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    (tmp_path / "result.json").write_text(f"\"'a9999' (#{tag('u0003')})\"")
    assert Names.of(["u0003"]).below(tmp_path)
    assert not Names.of(["u0004"]).below(tmp_path)


def test_a_short_id_is_no_word_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "t.html").write_text("it took 7 minutes")
    (tmp_path / "t.json").write_text('["7"]')
    assert Names.of(["7"]).below(tmp_path) == {tmp_path / "t.json": 1}


def test_what_a_start_has_learned_is_known_to_all_that_follow() -> None:
    def version(number: str, directly: str = "", *starts: tuple[str, str]) -> Learner:
        return Learner("triad", number, directly, starts, False)

    chain = [
        version("4", "", ("triad", "3")),
        version("3", "", ("triad", "2")),
        version("2", "its tables hold them"),
        version("5"),
        version("6", "", ("triad", "5")),
        version("7", "", ("fr", "1")),
        Learner("fr", "1", "its tables hold them", (), True),
    ]
    told = tainted(chain)
    assert {number for _, number in told} == {"1", "2", "3", "4", "7"}
    assert "version 3 of triad" in told["triad", "4"]
    assert "version 1 of fr" in told["triad", "7"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"pretrain.init": "champion", "finetune.init": "pretrain", "champion.version": 4}, (("triad", "4"),)),
        ({"pretrain.init": "scratch", "finetune.init": "champion", "champion.version": 4}, (("triad", "4"),)),
        ({"pretrain.init": "champion", "champion.version": None}, ()),
        ({"pretrain.init": "scratch", "finetune.init": "pretrain", "champion.version": 4}, ()),
        ({"pretrain.init": "market", "champion.market.model": "fr", "champion.market.version": 2}, (("fr", "2"),)),
    ],
)
def test_what_a_version_started_from(params: dict[str, Any], expected: tuple[tuple[str, str], ...]) -> None:
    assert learned.starts("triad", params) == expected
    assert learned.starts("triad", params, {"from": "9", "twin": "8"}) == (
        *expected,
        ("triad", "8"),
    ) or "market" in str(params)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkout whose only stage is `ingest`: one night on a branch, in the cache and in the remote."""
    folder = tmp_path_factory.mktemp("made")
    with inside(folder):
        _make(folder)
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout in a copy of its own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    config = tmp_path / "shop" / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(made), str(tmp_path)))
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def _make(folder: Path) -> None:
    here = make_repository(folder / "shop", dvc_yaml=DVC_YAML, params='ingest: {as_of: "2026-03-01"}\n')
    os.chdir(here)
    (here / "step.py").write_text(STEP)
    (here / ".gitignore").write_text("/artifacts\n/.triad\n/runs\n/mlflow.db\n/mlartifacts\n/source\n")
    commit(here, "the shop")
    (here / "source" / "users").mkdir(parents=True)
    users = pa.table({"user_id": ["u0003", "u0004"]})
    pq.write_table(users, here / "source" / "users" / "part-0.parquet")
    dvc("repro", "--quiet")
    dvc("push", "--quiet")
    main = git("branch", "--show-current")
    git("checkout", "--quiet", "-b", "retrain/2026-03-01")
    git("add", "--force", "dvc.lock")
    git("commit", "--quiet", "--message", "night")
    lock = (here / "dvc.lock").read_text()
    git("checkout", "--quiet", main)
    (here / "dvc.lock").write_text(lock)


def delivered(here: Path, user: str) -> Path:
    folder = here / ".triad" / "delivered" / "2026-03-01-v1-0123456789abcdef"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [user], "rank": [1]}), folder / "recommendations.parquet")
    write_json(folder / "summary.json", {"as_of": "2026-03-01", "model_version": "1"})
    (folder.parent / "current").symlink_to(folder.name)
    return folder


def registered(here: Path, *nights: dict[str, Any]) -> None:
    """A registry with a version a night: `params`, hash of its tables, and whether its report names the person."""
    import mlflow

    from triad.tracking import signing, store
    from triad.tracking.registry import LINEAGE_FILE, lineage_of
    from triad.tracking.runs import safe

    client = store.client()
    experiment = store.experiment_id(client, "triad")
    client.create_registered_model("triad")
    for place, night in enumerate(nights):
        number = client.create_run(experiment, start_time=int((time.time() - 86400 * (90 - place)) * 1000)).info.run_id
        for name, value in night.get("params", {}).items():
            client.log_param(number, safe(name), value)
        data = {"first_day": "2026-01-01", "last_day": "2026-02-28", "dvc": {"artifacts/ingest/tables": night["md5"]}}
        lineage = {
            "code": {},
            "data": data,
            "params": night.get("params", {}),
            "model": "m",
            "validation": {},
            "metrics": {},
            "verdict": {},
            "trigger": "t",
        }
        mlflow.log_dict(signing.seal(lineage, lineage_of(number)), LINEAGE_FILE, run_id=number)
        if night.get("report"):
            client.log_text(number, "<p>u0003</p>", "report.html")
        files = here.parent / f"version-{place}"
        files.mkdir()
        (files / "MLmodel").write_text("a model\n")
        signing.sign(files, "triad", number)
        client.log_artifacts(number, str(files), "model")
        source = f"{client.get_run(number).info.artifact_uri}/model"
        client.create_model_version("triad", source, number, tags=night.get("tags", {}))


def test_the_map_names_every_place_and_how_to_drop_it(shop: Path) -> None:
    from triad.tracking.store import client

    lists = delivered(shop, "u0003")
    md5 = whereabouts.hashes((shop / "dvc.lock").read_text())["artifacts/ingest/tables"]
    warm = {"pretrain.init": "champion", "finetune.init": "pretrain", "champion.version": 1}
    registered(shop, {"md5": md5, "report": True}, {"md5": "0" * 32, "params": warm}, {"md5": "0" * 32})
    client().set_registered_model_alias("triad", "champion", "2")
    told = run("forget", "--map", "u0003")
    assert told.exit_code == 3, told.output
    text = told.output
    for place, mend in {
        f"checkout {shop} · artifacts/ingest/tables (1)": "dvc repro",
        f"delivery {lists} · recommendations.parquet (1)": "triad retraining deliver",
        "branch retrain/2026-03-01 · its data in the cache: artifacts/ingest/tables": "git branch -D",
        "remote store · 1 folders: users": "--remote store",
        "version 1 of triad · learned from them: its tables of 2026-01-01 to 2026-02-28 hold them": "learning anew",
        "version 2 of triad, and it serves · learned from them: it started from version 1 of triad": "learning anew",
        "of triad · report.html": "mlflow gc",
    }.items():
        assert place in text
        assert mend in text
    assert "version 3" not in text
    assert not forgotten.place().exists()
    nobody = run("forget", "--map", "u9999")
    assert nobody.exit_code == 0, nobody.output
    assert "found nowhere" in nobody.output


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.npy", "t.npz"])
@pytest.mark.parametrize("content", [b"", b"PAR1 u0003", b"\x93NUMPY"])
def test_a_damaged_file_is_told_and_ends_no_map(
    name: str, content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_bytes(content)
    assert Names.of(["u0003"]).below(tmp_path) == {}
    assert f"{name} cannot be read" in caplog.text


def test_an_open_night_must_ingest_again_and_a_closed_one_stays(shop: Path) -> None:
    lock = (shop / "dvc.lock").read_text()
    for name in ("open", "closed"):
        night = shop.parent / name
        git("worktree", "add", "--quiet", "--detach", str(night))
        (night / ".triad").mkdir()
        (night / "dvc.lock").write_text(lock)
        (night / KEPT).write_text(lock)
    (night / ".triad" / "closed.json").write_text("{}")
    assert whereabouts.restart(shop) == [shop, shop.parent / "open"]
    assert not _mend_lock(shop.parent / "open")
    assert "ingest" not in yaml.safe_load((shop.parent / "open" / "dvc.lock").read_text())["stages"]
    assert (night / "dvc.lock").read_text() == (night / KEPT).read_text() == lock


def test_what_only_the_remote_still_has_is_told(shop: Path) -> None:
    names = Names.of(["u0003"])
    shutil.rmtree(shop / ".dvc" / "cache")
    held = whereabouts.stored(shop, names)
    told = [*whereabouts.kept(shop, held), *whereabouts.remotes(shop, held)]
    assert [(place.name, place.holds) for place in told] == [
        ("branch retrain/2026-03-01", "perhaps: its tables are not at hand"),
        ("remote store", "perhaps: 1 folders there are not at hand"),
    ]


def test_forgetting_makes_ingest_run_again(shop: Path) -> None:
    assert "ingest" in yaml.safe_load((shop / "dvc.lock").read_text())["stages"]
    days = shop / ".triad" / "days"
    DayStore("key", stores=days).put("a day", "1", pa.table({"user_id": ["u0003", "u0004"]}), left_out=0, types=[])
    assert f"kept days {days} · events (1)" in run("forget", "--map", "u0003").output
    told = run("forget", "u0003")
    assert f"{days}: the kept days are deleted" in told.output and not any(days.iterdir())
    assert told.exit_code == 0, told.output
    assert f"{shop}: `dvc repro`, or its night, will ingest again" in told.output
    assert "branch retrain/2026-03-01" in told.output
    status = subprocess.run([sys.executable, "-m", "dvc", "status"], capture_output=True, text=True, check=True)
    assert "ingest" in status.stdout


@pytest.mark.parametrize("place", ["elsewhere", "below"])
def test_a_list_that_nobody_would_obey_is_not_made(place: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shop.parent / "elsewhere" if place == "elsewhere" else shop / "source"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    told = run("forget", "u0003")
    assert told.exit_code == 1
    assert "no checkout" in str(told.exception)
    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    assert run("forget", "u0003").exit_code == 0
    assert (shop / ".git" / "triad" / "forgotten.json").is_file()


def test_what_serves_what_was_before_it_and_their_starts_stay() -> None:
    tags = {str(number): {} for number in range(1, 9)} | {"6": {"previous_champion": "4"}}
    assert retained.needed(tags, {"6"}, {"6": "3", "3": "1", "7": "2"}) == {"6", "4", "3", "1"}
    assert retained.needed(tags, set(), {}) == set()


@pytest.mark.parametrize("dry", [True, False])
def test_retention_takes_what_its_dials_say_and_no_more(dry: bool, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triad.retraining.pruning import Further, prune
    from triad.tracking.registry import versions
    from triad.tracking.store import client

    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    warm = {"pretrain.init": "champion", "finetune.init": "pretrain", "champion.version": 1}
    registered(
        shop,
        {"md5": "0" * 32},
        {"md5": "0" * 32},
        {"md5": "0" * 32, "tags": {"branch": "retrain/2026-01-02"}},
        {"md5": "0" * 32, "params": warm, "tags": {"previous_champion": "3"}},
        {"md5": "0" * 32},
    )
    found = client()
    found.set_registered_model_alias("triad", "champion", "4")
    alone = found.create_run("1", start_time=int((time.time() - 86400 * 50) * 1000)).info.run_id
    head = git("rev-parse", "retrain/2026-03-01")
    old = {**os.environ, "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    for day in ("2026-01-01", "2026-01-02"):
        words = ["commit-tree", f"{head}^{{tree}}", "-m", f"night {day}", "-m", "Run: night"]
        made = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            env=old,
            capture_output=True,
            text=True,
        ).stdout.strip()
        git("update-ref", f"refs/heads/retrain/{day}", made)
    theirs = ["commit-tree", f"{head}^{{tree}}", "-p", made, "-m", "my experiment with it"]
    made = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *theirs],
        check=True,
        env=old,
        capture_output=True,
        text=True,
    ).stdout.strip()
    git("update-ref", "refs/heads/retrain/2026-01-03", made)
    gone = prune(14, 3, Further(branch_days=10, versions=1, run_days=30), dry=dry)
    assert (gone["branches"], gone["versions"], gone["runs"]) == (["retrain/2026-01-01"], ["2"], [alone])
    stays = {"retrain/2026-01-02", "retrain/2026-01-03", "retrain/2026-03-01"} | (
        {"retrain/2026-01-01"} if dry else set()
    )
    assert set(git("for-each-ref", "--format=%(refname:short)", "refs/heads/retrain").split()) == stays
    assert list(versions(found, "triad")) == (["1", "2", "3", "4", "5"] if dry else ["1", "3", "4", "5"])
    assert found.get_run(alone).info.lifecycle_stage == ("active" if dry else "deleted")


def test_without_dials_versions_runs_branches_and_remote_stay(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triad.retraining.pruning import prune

    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    assert set(prune(0, 0)) == {"workspaces", "deliveries", "cached_objects"}


@pytest.mark.parametrize("dry", [True, False])
def test_the_remote_keeps_what_is_named(dry: bool, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triad.retraining.pruning import Further, prune

    monkeypatch.setenv("TRIAD_CHECKOUT", str(shop))
    held = sorted((shop.parent / "store").rglob("*.dir"))
    assert len(held) == 1
    assert prune(0, 0, Further(remote="store"), dry=dry)["remote_objects"] == 0
    git("branch", "-D", "retrain/2026-03-01")
    (shop / "dvc.lock").unlink()
    assert prune(0, 0, Further(remote="store"), dry=dry)["remote_objects"] == 2
    assert bool(list((shop.parent / "store").rglob("*.dir"))) is dry
