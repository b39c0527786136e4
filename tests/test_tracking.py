"""Lineage and the registry on a real store, without a model: what is recorded, promoted, rolled back, told."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from make_night import inside

from triad.artifacts import write_json
from triad.errors import TriadError
from triad.tracking import explain, lineage, place, registry, runs, store
from triad.tracking.registry import Version


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh store: to make one takes seconds."""
    with inside(tmp_path_factory.mktemp("store")), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store.client()
        return place.DATABASE.resolve()


@pytest.fixture
def found(folder: Path, empty: Path, monkeypatch: pytest.MonkeyPatch):
    """A client of a fresh store that holds versions 1 to 3 of the model `shop`, none champion, without any file."""
    monkeypatch.setattr(registry, "folder_of", lambda model, version: folder)
    shutil.copy(empty, place.DATABASE)
    client = store.client()
    client.create_registered_model("shop")
    for number in range(3):
        client.create_model_version("shop", source=str(folder), tags={"lineage_key": f"key{number}"})
    return client


def make_lineage(**changes) -> lineage.Lineage:
    values = {
        "code": {"commit": "a" * 40, "dirty": False, "digest": "c0de"},
        "data": {
            "as_of": "2026-01-31",
            "first_day": "2026-01-01",
            "last_day": "2026-01-30",
            "days": 30,
            "rows": {"events": 5000, "users": 60},
            "digest": "da7a",
            "dvc": {},
        },
        "params": {"features.seed": 1, "finetune.learning_rate": 0.001},
        "model": "30de1",
        "validation": {"success": True, "warnings": 2},
        "metrics": {"click.auc": 0.7},
        "verdict": {"verdict": "PASS", "reasons": ["click gained"], "champion": None},
        "trigger": "user:nobody",
    }
    return lineage.Lineage(**(values | changes))


def make_version(number: str, line: lineage.Lineage, **tags: str) -> Version:
    return Version("shop", number, "run" + number, (), {"verdict": line.verdict["verdict"], **tags}, line.as_dict())


ONE_STORE = """
from triad.tracking.store import client, experiment_id
found = client()
number = experiment_id(found, "shop")
print(number, found.get_experiment(number).artifact_location)
"""


def test_two_workspaces_make_one_fresh_store_at_once(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{shop}/mlflow.db"}
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", ONE_STORE]
        both.append(subprocess.Popen(command, cwd=tmp_path / name, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] == ["1", (shop / "mlartifacts" / "shop").as_uri()]
    assert not [p for name in ("a", "b") for p in (tmp_path / name).iterdir()]


def test_the_key_names_the_data_and_the_fitted_model_and_nothing_else() -> None:
    first = make_lineage()
    for change in (
        {"metrics": {}, "verdict": {"verdict": "FAIL"}, "validation": {}},
        {"trigger": "airflow:night/1", "code": {**first.code, "dirty": True}, "params": {}},
        {"data": {**first.data, "dvc": {"a": "b"}}},
    ):
        assert make_lineage(**change).key == first.key
    for change in (
        {"model": "other"},
        {"data": {**first.data, "digest": "other"}},
        {"data": {**first.data, "as_of": "2026-02-01"}},
    ):
        assert make_lineage(**change).key != first.key
    assert lineage.Lineage.from_dict(json.loads(json.dumps(first.as_dict()))) == first
    assert first.seeds == {"features.seed": 1}


def test_a_digest_follows_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    (tmp_path / "y").write_text("2")
    before = lineage.digest(tmp_path)
    assert lineage.digest(tmp_path) == before
    (tmp_path / "y").write_text("3")
    changed = lineage.digest(tmp_path)
    (tmp_path / "y").rename(tmp_path / "z")
    assert len({before, changed, lineage.digest(tmp_path)}) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(TriadError, match="holds no file"):
        lineage.digest(tmp_path / "empty")


def test_git_tells_the_commit_and_uncommitted_code(folder: Path) -> None:
    assert lineage.git() == {"commit": None, "dirty": None}
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    (folder / "dvc.yaml").write_text("stages: {}\n")

    def run(*words: str) -> str:
        names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *names, *words], env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("init", "-q")
    run("add", ".")
    run("commit", "-qm", "first")
    (folder / "dvc.lock").write_text("changes in every run")
    assert lineage.git() == {"commit": run("rev-parse", "HEAD"), "dirty": False}
    (folder / "params.yaml").write_text("a: 2\n")  # told in the lineage itself
    assert lineage.git()["dirty"] is False
    (folder / "dvc.yaml").write_text("stages: {a: {cmd: a}}\n")
    assert lineage.git()["dirty"] is True


def test_dvc_hashes_are_read_from_the_lock_but_not_those_of_later_stages(tmp_path: Path) -> None:
    assert lineage.locked_hashes(tmp_path / "dvc.lock") == {}
    (tmp_path / "dvc.lock").write_text(
        """
schema: '2.0'
stages:
  ingest: {cmd: a, outs: [{path: artifacts/ingest/tables, md5: 11.dir}]}
  publish: {cmd: b, outs: [{path: artifacts/publish, md5: 22.dir}]}
"""
    )
    assert lineage.locked_hashes(tmp_path / "dvc.lock") == {"artifacts/ingest/tables": "11.dir"}


def test_sample_rows_of_the_checks_stay_behind() -> None:
    place = {"severity": "warning", "name": "not_null", "message": "as for anna", "samples": [{"user_id": "anna"}]}
    checks = [
        {**place, "table": "users", "column": "country", "passed": False},
        {**place, "table": "users", "column": "user_id", "passed": True},
        {**place, "table": "events", "column": None, "passed": False, "name": "volume"},
    ]
    kept = lineage.validation_summary({"success": True, "checks": checks, "by": {"user": "anna"}})
    failed = ["warning not_null on users.country", "warning volume on events"]
    assert kept == {"success": True, "checks": 3, "failed": failed}
    assert "anna" not in json.dumps(kept)


def test_who_asked() -> None:
    airflow = {"AIRFLOW_CTX_DAG_ID": "night", "AIRFLOW_CTX_DAG_RUN_ID": "scheduled__1"}
    assert lineage.trigger({**airflow, "TRIAD_TRIGGER": "by hand"}) == "by hand"
    assert lineage.trigger(airflow) == "airflow:night/scheduled__1"
    assert lineage.trigger({}).startswith("user:")


def test_flat_names() -> None:
    assert lineage.flatten({"a": {"b": [1, 2], "c": {}}, "d": [{"e": 1}]}) == {"a.b": [1, 2], "a.c": {}, "d.0.e": 1}


def test_a_missing_artifact_is_named_with_its_stage(folder: Path) -> None:
    with pytest.raises(TriadError, match="dvc repro evaluate"):
        lineage.needed(lineage.VERDICT)
    write_json(lineage.VERDICT, {"verdict": "PASS"})
    assert lineage.needed(lineage.VERDICT) == {"verdict": "PASS"}


def test_why_and_diff_tell_what_changed() -> None:
    first = make_version("1", make_lineage(), promoted_at="2026-01-31T03:00")
    later = make_lineage(
        code={"commit": "b" * 40, "dirty": True, "digest": "c0de2"},
        data={**make_lineage().data, "as_of": "2026-02-01", "rows": {"events": 5100, "users": 61}},
        params={"features.seed": 1, "finetune.learning_rate": 0.01, "fuse.folds": 5},
        metrics={"click.auc": 0.75, "click.users": 61.0, "f1.value": 0.5, "f1.lo": 0.4, "f1.hi": 0.6},
        verdict={"verdict": "INCONCLUSIVE", "reasons": ["may be chance"], "champion": "1"},
    )
    second = make_version("2", later, compared_with="1", rolled_back_at="2026-02-02T01:00", experiment="wordy-hart")
    text = explain.explain(second, first)
    for part in (
        "INCONCLUSIVE against version 1\n             may be chance",
        "f1           0.5 [0.4, 0.6]",
        "f1           — → 0.5 [0.4, 0.6]",
        "promoted     never",
        "experiment   wordy-hart",
        "rolled back  2026-02-02",
        "commit bbbbbbbbbbbb with uncommitted changes",
        "5,100 events",
        "from version 1 to version 2",
        "git diff aaaaaaaaaaaa bbbbbbbbbbbb",
        "finetune.learning_rate  0.001 → 0.01",
        "fuse.folds              — → 5",
        "rows of events  5000 → 5100",
        "0.7 → 0.75 (+0.05)",
        "— → 61",
        "PASS → INCONCLUSIVE",
    ):
        assert part in text, text
    assert "with no champion before it\n             click gained" in explain.explain(first)
    assert "the same data and the same fitted model" in explain.compare(first, make_version("3", make_lineage()))
    unchanged = explain.compare(first, make_version("3", make_lineage(model="another")))
    assert "params\n  nothing" in unchanged and "metrics\n  nothing" in unchanged


def test_promotion_is_refused_when_another_champion_serves_by_now(found) -> None:
    assert registry.current(found, "shop", "champion") is None
    assert registry.current(found, "no such model", "champion") is None
    registry.promote(found, "shop", "champion", "1", None)
    registry.promote(found, "shop", "champion", "1", None)  # a second time changes nothing
    registry.promote(found, "shop", "champion", "2", "1")
    with pytest.raises(TriadError, match="made against version 1, but version 2 serves") as raised:
        registry.promote(found, "shop", "champion", "3", "1")
    assert "evaluate" in raised.value.mend
    assert registry.current(found, "shop", "champion") == "2"
    tags = registry.versions(found, "shop")
    assert tags["2"]["previous_champion"] == "1" and "previous_champion" not in tags["1"] and "promoted_at" in tags["1"]
    assert registry.find(found, "shop", "key2") == "3" and registry.find(found, "shop", "none") is None


def test_rollback_walks_back_the_line_of_champions(found) -> None:
    with pytest.raises(TriadError, match="no version serves"):
        registry.rollback("shop", "champion")
    registry.promote(found, "shop", "champion", "1", None)
    with pytest.raises(TriadError, match="none before it"):
        registry.rollback("shop", "champion")
    registry.promote(found, "shop", "champion", "2", "1")
    registry.promote(found, "shop", "champion", "3", "2")
    assert "serves version 2 now" in registry.rollback("shop", "champion")
    assert registry.current(found, "shop", "champion") == "2"
    registry.rollback("shop", "champion")
    assert registry.current(found, "shop", "champion") == "1"
    with pytest.raises(TriadError, match=r"first champion.*none before it") as raised:
        registry.rollback("shop", "champion")
    assert "2, 3" in raised.value.mend
    assert "rolled_back_at" in registry.versions(found, "shop")["3"]
    registry.rollback("shop", "champion", "3")
    assert registry.current(found, "shop", "champion") == "3"
    assert "rolled_back_at" not in registry.versions(found, "shop")["3"]


def test_rollback_refuses_versions_that_never_served(found) -> None:
    registry.promote(found, "shop", "champion", "1", None)
    for to, message in (("2", "never champion"), ("9", "no version 9"), ("1", "serves already")):
        with pytest.raises(TriadError, match=message):
            registry.rollback("shop", "champion", to)
    assert registry.current(found, "shop", "champion") == "1"


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture
def killed_before(found, monkeypatch: pytest.MonkeyPatch):
    """Lets this client's write of that number (from 0) kill its process; None: no longer."""
    count = itertools.count()

    def kill(number: int | None) -> None:
        nonlocal count
        count = itertools.count()
        for name in WRITES:
            write = getattr(type(found), name)

            def step(*given, write=write, **named):
                if next(count) == number:
                    raise KilledError
                return write(found, *given, **named)

            monkeypatch.setattr(found, name, step)

    monkeypatch.setattr(registry, "client", lambda **_: found)
    return kill


WRITES = (
    "set_registered_model_tag",
    "delete_registered_model_tag",
    "set_registered_model_alias",
    "set_model_version_tag",
    "delete_model_version_tag",
)


@pytest.mark.parametrize("step", range(6))
def test_a_kill_within_a_promotion_leaves_a_history_that_tells_what_served(found, killed_before, step: int) -> None:
    registry.promote(found, "shop", "champion", "1", None)
    killed_before(step)
    killed = step < 5  # note, alias, two tags, note
    with pytest.raises(KilledError) if killed else nullcontext():
        registry.promote(found, "shop", "champion", "2", "1")
    killed_before(None)
    moved = registry.current(found, "shop", "champion") == "2"
    assert moved == (step > 1)
    if not moved:  # it never served, so nobody can go back to it
        with pytest.raises(TriadError, match="never champion"):
            registry.rollback("shop", "champion", "2")
        assert "promoted_at" not in registry.versions(found, "shop")["2"]
    registry.promote(found, "shop", "champion", "2", "1")  # as tonight's stage does when it is run again
    assert registry.versions(found, "shop")["2"].keys() >= {"promoted_at", "previous_champion"}
    assert not found.get_registered_model("shop").tags
    assert "serves version 1 now" in registry.rollback("shop", "champion")


@pytest.mark.parametrize("step", range(6))
def test_a_rollback_cut_short_is_ended_and_not_done_twice(found, killed_before, step: int) -> None:
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        registry.promote(found, "shop", "champion", version, before)
    found.set_model_version_tag("shop", "2", "rolled_back_at", "earlier")
    killed_before(step)
    with pytest.raises(KilledError) if step < 5 else nullcontext():
        registry.rollback("shop", "champion")
    killed_before(None)
    if step < 5:
        assert "serves version 2 now, instead of 3" in registry.rollback("shop", "champion")
    assert registry.current(found, "shop", "champion") == "2"
    tags = registry.versions(found, "shop")
    assert "rolled_back_at" in tags["3"] and "rolled_back_at" not in tags["2"]


def test_a_version_that_somebody_let_serve_by_hand_gets_a_history(found) -> None:
    registry.promote(found, "shop", "champion", "1", None)
    found.set_model_version_tag("shop", "2", "compared_with", "1")
    found.set_registered_model_alias("shop", "champion", "2")
    assert "serves version 1 now, instead of 2" in registry.rollback("shop", "champion")
    assert "serves version 2 now" in registry.rollback("shop", "champion", "2")


def test_versions_that_are_not_there_or_have_no_lineage_are_named(found) -> None:
    with pytest.raises(TriadError, match="known versions are 1, 2, 3"):
        registry.describe("shop", "7")
    with pytest.raises(TriadError, match="no version or alias 'champion'"):
        lineage.why("champion", "shop")
    with pytest.raises(TriadError, match=r"lineage\.json"):
        registry.describe("shop", "v1")


def test_why_and_diff_read_what_a_run_holds(found, folder: Path) -> None:
    import mlflow

    (folder / "params.yaml").write_text("not: used, the model is named\n")
    for number, line in (("1", make_lineage()), ("2", make_lineage(model="b", metrics={"click.auc": 0.8, "a@b": 1.0}))):
        with mlflow.start_run(experiment_id=store.experiment_id(found, "shop")) as run:
            runs.update(found, run.info.run_id, line)
        tags = runs.facts(line) | ({"compared_with": "1"} if number == "2" else {})
        made = found.create_model_version("two", str(folder), run.info.run_id, tags) if number == "2" else None
        if made is None:
            found.create_registered_model("two")
            found.create_model_version("two", str(folder), run.info.run_id, tags)
    assert "0.7 → 0.8 (+0.1)" in lineage.why("2", "two")
    assert "0.8 → 0.7 (-0.1)" in lineage.diff("2", "v1", "two")
    assert found.get_run(run.info.run_id).data.metrics == {"click.auc": 0.8, "a_b": 1.0}
    found.delete_model_version("two", "1")  # as `triad retraining prune --keep-versions` does
    told = lineage.why("2", "two")
    assert "against version 1" in told and told.endswith("version 1 is deleted, so nothing can tell what changed since")
    (folder / "params.yaml").unlink()
    with pytest.raises(TriadError, match="model triad"):  # the default name
        lineage.why("1")


def test_the_store_is_where_the_environment_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.tracking_uri() == f"sqlite:///{folder / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'elsewhere.db'}")
    store.client()
    assert (folder / "elsewhere.db").is_file() and not (folder / "mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TriadError, match="does not answer") as raised:
        store.client()
    assert "MLFLOW_TRACKING_URI" in raised.value.mend
    (folder / "broken.db").write_text("this is no database, and long enough to be taken for one" * 20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'broken.db'}")
    with pytest.raises(TriadError, match="does not answer"):
        store.client()


def test_an_older_schema_is_brought_up(folder: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

    uri = place.tracking_uri()
    newest = utils._get_latest_schema_revision()
    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    InitialBase.metadata.create_all(engine)
    settings = utils._get_alembic_config(uri)
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, ScriptDirectory.from_config(settings).get_revision(newest).down_revision)
    assert utils._get_schema_version(engine) != newest
    engine.dispose()
    assert store.client().search_experiments()
    assert utils._get_schema_version(utils.create_sqlalchemy_engine_with_retry(uri)) == newest


def test_a_deleted_experiment_is_named(found) -> None:
    made = store.experiment_id(found, "night")
    assert store.experiment_id(found, "night") == made
    found.delete_experiment(made)
    with pytest.raises(TriadError, match="was deleted"):
        store.experiment_id(found, "night")


def test_two_processes_may_make_a_fresh_store_at_once(folder: Path) -> None:
    script = "from triad.tracking import store; c = store.client(); print(store.experiment_id(c, 'night'))"
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] != ""


def test_requirements_are_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    listed = runs.requirements()
    assert f"numpy=={numpy.__version__}" in listed and all("==" in line for line in listed)
    monkeypatch.setattr(runs, "NEEDED", ("numpy", "no-such-package"))
    assert runs.requirements() == [f"numpy=={numpy.__version__}"]


def test_a_trigger_without_a_user_name_falls_back_to_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(lineage, "getpass", SimpleNamespace(getuser=nameless))
    assert lineage.trigger({}) == f"user:{os.getuid()}"
