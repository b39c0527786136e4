"""A path is a path, whatever it is called: not a pattern, a URL, a word of a shell or an entry of a list."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from make_pipeline import commit, make_repository, retraining
from make_pipeline import night as scheduled
from make_tables import make_tables
from make_workspace import ROOT, checkout, remove, run

from triad import paths
from triad.airflow import start
from triad.errors import TriadError
from triad.evaluation.oracle import _lookup
from triad.tables import connect, write_table
from triad.tracking.inputs import opened
from triad.workspace import share_cache

NAMES = [
    "my shop",
    "Bücher",
    "x[50%]",
    "a]b",
    "%20",
    "50%2F",
    "a#b",
    "a?b",
    "it's",
    'say "x"',
    "a*",
    "a&b",
    "$HOME",
    "a;b",
]
ALL = "my ü[50%]* %20 #'\"&$?;~"


@pytest.fixture(params=[*NAMES, ALL])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found = tmp_path / request.param
    found.mkdir()
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop's tables; 30 items."""
    found = tmp_path_factory.mktemp("tables")
    for name, data in make_tables(shown=200, days=2).items():
        write_table(found, name, data)
    return found


def test_duckdb_reads_that_folder(folder: Path, shop: Path) -> None:
    shutil.copytree(shop, folder / "tables")
    with connect(folder / "tables") as session:
        assert session.execute("SELECT count(*) FROM items").fetchone() == (30,)
    pq.write_table(pa.table({"item_id": ["i1"], "truth": [0.5]}), folder / "truth.parquet")
    found = _lookup(folder / "truth.parquet", {"item_id": ["i1"]}, ["truth"])
    assert found is not None and found.tolist() == [[0.5]]


def test_duckdb_reads_no_other_folder(tmp_path: Path, shop: Path) -> None:
    shutil.copytree(shop, tmp_path / "x5")
    (tmp_path / "x[50]" / "items").mkdir(parents=True)
    shutil.copyfile(shop / "items" / "part-0.parquet", tmp_path / "x[50]" / "items" / "part-0.parquet")
    with connect(tmp_path / "x[50]") as session, pytest.raises(duckdb.CatalogException):
        session.execute("SELECT count(*) FROM events")


def test_a_sqlite_url_names_that_file(folder: Path) -> None:
    url = paths.sqlite_url(folder / "a.db")
    engine = sa.create_engine(url)
    with engine.begin() as session:
        session.execute(sa.text("CREATE TABLE x (y INTEGER)"))
    engine.dispose()
    assert [path.name for path in folder.iterdir()] == ["a.db"]
    assert paths.is_sqlite(url) and paths.sqlite_file(url) == folder / "a.db"


def test_duckdbs_url_names_that_file(folder: Path) -> None:
    assert sa.make_url(paths.sqlalchemy_url("duckdb", folder / "a")).database == str(folder / "a")
    with duckdb.connect() as session:
        session.execute(f"SET temp_directory = {paths.sql_text(folder / 'spill')}")
        assert session.execute("SELECT current_setting('temp_directory')").fetchone() == (str(folder / "spill"),)


@pytest.mark.parametrize("form", [str, Path.as_uri, Path], ids=["text", "uri", "path"])
def test_a_served_folder_is_read_by_path_and_by_uri(folder: Path, shop: Path, form: Callable[[Path], str]) -> None:
    shutil.copytree(shop, folder / "tables")
    with opened(form(folder / "tables")) as session:
        assert session.execute("SELECT count(*) FROM items").fetchone() == (30,)


def test_a_folder_behind_a_url_is_read_by_name(shop: Path) -> None:
    system = fsspec.filesystem("memory")
    for file in (path for path in shop.rglob("*") if path.is_file()):
        system.pipe(f"/x[50%]*/tables/{file.relative_to(shop)}", file.read_bytes())
    with opened("memory://x[50%]*/tables") as session:
        assert session.execute("SELECT count(*) FROM items").fetchone() == (30,)


def test_dvc_shares_the_cache(folder: Path) -> None:
    here, there = folder / "shop", folder / "runs" / "night"
    for path in (here / ".dvc", there / ".dvc"):
        path.mkdir(parents=True)
    (here / ".dvc" / "config").write_text("['remote \"store\"']\n    url = ../store\n")
    share_cache(here, there)
    from dvc.config import Config

    config = Config(str(there / ".dvc"), validate=True)
    assert Path(config["cache"]["dir"]).resolve() == here / ".dvc" / "cache"
    assert config["remote"]["store"]["verify"] is True
    assert Path(config["remote"]["store"]["url"]).resolve() == here / "store"


def test_a_colon_in_a_list_of_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TriadError, match="separates the entries of PATH"):
        paths.entry(tmp_path / "a:b" / "src")
    package = tmp_path / "a:b" / "src" / "triad"
    package.mkdir(parents=True)
    command = [sys.executable, "-m", "triad", "summary"]
    done = subprocess.run(command, cwd=tmp_path / "a:b", capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False) and "a:b" in done.stderr


def test_airflow_is_told_of_its_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAD_CHECKOUT", str(folder))
    monkeypatch.delenv(start.DATABASE, raising=False)
    if folder.name == "$HOME":
        with pytest.raises(TriadError, match="for a variable"):
            start.configuration(folder / ".airflow", {"airflow": 1, "mlflow": 2})
        return
    told = start.configuration(folder / ".airflow", {"airflow": 1, "mlflow": 2})
    assert told["AIRFLOW__CORE__DAGS_FOLDER"] == str(folder / "dags")
    url = told.get(start.DATABASE, f"sqlite:///{folder}/.airflow/airflow.db")
    assert sa.make_url(url).database == str(folder / ".airflow" / "airflow.db")


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def makefile(folder: Path) -> Path:
    """A checkout whose environment is there already, of programs that say where they are."""
    for name in ("Makefile", "requirements"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    (folder / "src" / "triad").mkdir(parents=True)
    (folder / "src" / "triad" / "cli.py").touch()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "uv", "dvc", "triad", "pytest", "ruff", "mypy"):
        program = folder / ".venv" / "bin" / name
        # `dvc status` says that there is something to do
        program.write_text('#!/bin/sh\necho "$(basename "$0") $*" >> log\ntest "$1" != status\n')
        program.chmod(0o755)
    return folder


def test_make_stays_in_its_folder(makefile: Path) -> None:
    before = sorted(path.name for path in makefile.parent.iterdir())
    for target in ("run", "test", "lint"):
        done = make(makefile, target)
        assert done.returncode == 0, done.stderr
    said = (makefile / "log").read_text().splitlines()
    assert {"dvc repro", "triad summary", "mypy "} <= set(said)
    assert (makefile / ".venv" / ".runtime").is_file()
    assert sorted(path.name for path in makefile.parent.iterdir()) == before


def test_make_refuses_another_folder_a_colon_and_a_brace(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    assert "Triad's own folder" in make(tmp_path, "-f", str(ROOT / "Makefile"), "clean").stderr
    assert (tmp_path / "artifacts").is_dir()
    (tmp_path / "a:b" / "src" / "triad").mkdir(parents=True)
    (tmp_path / "a:b" / "src" / "triad" / "cli.py").touch()
    assert "without a colon" in make(tmp_path / "a:b", "-n", "-f", str(ROOT / "Makefile"), "run").stderr
    (tmp_path / "a:b").rename(tmp_path / "a{b")
    assert "without a brace" in make(tmp_path / "a{b", "-n", "-f", str(ROOT / "Makefile"), "run").stderr
    with pytest.raises(TriadError, match="a path with a brace"):
        share_cache(tmp_path / "a{b", tmp_path)


def test_make_without_a_history_says_git_clone(makefile: Path) -> None:
    shutil.rmtree(makefile / ".git")
    done = make(makefile, "run")
    assert done.returncode != 0 and "git clone" in done.stderr


def test_make_clean_leaves_workspaces_and_deliveries(makefile: Path) -> None:
    (makefile / ".gitignore").write_text("/artifacts/\n/.triad/\n/runs/\n/.venv/\n")
    commands = (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"])
    for words in (*commands, ["worktree", "add", "-q", "runs/mine"]):
        subprocess.run(["git", *words], cwd=makefile, check=True)
    names = ("artifacts/ingest/x", ".triad/checkpoints/x", ".triad/delivered/x", "runs/mine/x")
    for name in names:
        (makefile / name).parent.mkdir(parents=True, exist_ok=True)
        (makefile / name).write_text("")
    done = make(makefile, "clean")
    assert done.returncode == 0, done.stderr
    kept = {name: os.path.lexists(makefile / name) for name in ("artifacts", ".triad/checkpoints", *names[2:])}
    assert list(kept.values()) == [False, False, True, True]


def test_a_registry_in_that_folder_is_made_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / ALL
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("MLFLOW_TRACKING_URI", "TRIAD_CHECKOUT"):
        monkeypatch.delenv(name, raising=False)
    import mlflow

    from triad.tracking import store

    found = store.client()
    run = found.create_run(store.experiment_id(found, "shop")).info
    found.log_dict(run.run_id, {"a": 1}, "lineage.json")
    assert mlflow.artifacts.load_dict(f"runs:/{run.run_id}/lineage.json") == {"a": 1}
    (place / "given").mkdir()
    (place / "given" / "file").write_text("text")
    found.log_artifacts(run.run_id, str(place / "given"), "model")
    assert store.home() == place
    assert sorted(path.name for path in place.iterdir()) == [".triad", "given", "mlartifacts", "mlflow.db"]
    assert [path.name for path in tmp_path.iterdir()] == [ALL]


NIGHT = """
ingest: {simulated: {size: tiny}}
pretrain: {max_epochs: 1, trunk: {layers: 1}}
finetune: {max_epochs: 1}
fuse: {bootstrap: 50, members: [popularity, finetune, item_knn, trees]}
evaluate: {bootstrap: 50}
recommend: {order_by: click}
tasks:
  click: {kind: binary, label: clicked, gated: false}
  next: {kind: ranking, label: next_item}
"""


@pytest.mark.proof
def test_a_night_in_that_folder_ends_with_lists(tmp_path: Path) -> None:
    """By DVC, from `ingest` to `recommend`; a second call finds nothing to do."""
    night = checkout(tmp_path / ALL, NIGHT)
    try:
        run(night, "dvc", "repro")
        published = json.loads((night / "artifacts" / "publish" / "published.json").read_text())
        summary = json.loads((night / "artifacts" / "recommend" / "summary.json").read_text())
        assert published["verdict"] == "PASS" and published["promoted"]
        assert summary["model_version"] == published["version"] and summary["rows"] > 0
        assert "up to date" in run(night, "dvc", "repro")
        assert f"version {published['version']}" in run(night, "triad", "why", "champion")
        assert sorted(path.name for path in tmp_path.iterdir()) == [ALL, "overlay.yaml"]
    finally:
        remove(night)


@pytest.mark.proof
def test_a_scheduled_run_in_that_folder_is_closed_and_pruned(tmp_path: Path) -> None:
    shop = make_repository(tmp_path / ALL / "shop")
    config = shop / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(shop.parent / "store"), "../../store"))
    commit(shop, "a remote that DVC can name")
    folder, said = scheduled(shop, "scheduled__2026-03-01T00:00:00+00:00")
    assert said["pushed"] and said["branch"] == "retrain/2026-03-01"
    assert (folder / "out" / "join" / "data").is_file() and (shop.parent / "store").is_dir()
    assert retraining(shop, "prune", "--keep", "0")["workspaces"] == [folder.name]
    assert sorted(path.name for path in tmp_path.iterdir()) == [ALL]
    assert sorted(path.name for path in shop.parent.iterdir()) == ["shop", "store"]
