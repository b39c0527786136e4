"""A night is registered once, serves only on a PASS, and the registered model gives evaluation's own numbers."""

import json
import os
import re
import shlex
import shutil
import site
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from make_night import inside, judge, make_night, make_params, published_night
from make_tables import END, START
from repack import repacked

from triad.artifacts import ARTIFACTS, TABLES, read_json, write_json
from triad.batch.commands import batch
from triad.config.recommend import RecommendParams
from triad.digests import code_digest, digest
from triad.errors import TriadError
from triad.evaluation.scoring import ask
from triad.evaluation.window import window
from triad.examples import dataset
from triad.fusion.fused import Fused
from triad.serving import asking
from triad.serving.holder import Place
from triad.stages.champion import champion as fetch_champion
from triad.stages.publish import publish
from triad.texts import Texts
from triad.tracking import direct, lineage, registry, retained, runs
from triad.tracking.inputs import opened
from triad.tracking.lineage import why
from triad.tracking.packaged import Packaged, is_of_this_code
from triad.tracking.place import tracking_uri
from triad.tracking.promoting import promote
from triad.tracking.serving import ServingModel


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose night passed and was published. Tests leave it as it is."""
    with published_night(make_night(tmp_path_factory.mktemp("night")), TRIAD_TRIGGER="a test") as root:
        yield root


@pytest.fixture
def again(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of the published night, with a store of its own that knows its version 1."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)  # the version's files stay where the first store has them
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:  # those of later versions do not
        moved = "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)"
        store.execute(moved, (published.as_uri(), tmp_path.as_uri()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_the_champion_is_asked_about_a_table_of_pairs(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)
    write_json(published / "params.yaml", make_params().model_dump(mode="json", by_alias=True))  # which is YAML, too
    (published / "pairs.csv").write_text("user_id,item_id\nu0001,i0002\nu0001,i0003\n")
    try:
        done = CliRunner().invoke(
            batch, ["score", "pairs.csv", "told.parquet", "--tables", str(TABLES)], catch_exceptions=False
        )
        assert done.output == "told.parquet: answers of version 1 to 2 rows\n"
        told = pq.read_table("told.parquet")
    finally:
        for name in ("params.yaml", "pairs.csv", "told.parquet"):
            (published / name).unlink(missing_ok=True)
    assert {"item_id", "is_known", "click", "conversion", "profile"} <= set(told.column_names)
    assert told["item_id"].to_pylist() == ["i0002", "i0003"] and told["is_known"].to_pylist() == [True, True]


def outcome() -> dict:
    return read_json(ARTIFACTS / "publish" / "published.json")


def champion() -> str | None:
    return registry.current(runs_client(), "triad", "champion")


def runs_client():
    from triad.tracking.store import client

    return client()


def next_night(verdict: str, against: str | None, **metrics: float) -> dict:
    """Another fitted model: the same code and data, one weight moved; judged, and published."""
    path = ARTIFACTS / "fuse" / "fusion.json"
    fusion = json.loads(path.read_text())
    fusion["record"]["night"] = fusion["record"].get("night", 0) + 1
    path.write_text(json.dumps(fusion))
    judge(verdict, against, **metrics)
    publish(make_params())
    return outcome()


def test_the_first_pass_is_registered_promoted_and_explained(published: Path) -> None:
    with inside(published):
        found = outcome()
        assert found["version"] == "1" and found["promoted"] is True and found["champion"] == "1"
        assert found["verdict"] == "PASS" and found["reasons"] == ["click: pass in a test"]
        client = runs_client()
        version = client.get_model_version("triad", "1")
        assert version.tags["lineage_key"] == found["lineage_key"] and version.tags["trigger"] == "a test"
        run = client.get_run(found["run_id"])
        assert run.info.status == "FINISHED" and run.data.metrics == {"click.auc": 0.7, "click.users": 60}
        assert run.data.params["features.split_days.test"] == "5"
        (given,) = run.inputs.dataset_inputs
        assert given.dataset.digest == version.tags["data_digest"]
        assert {file.path for file in client.list_artifacts(found["run_id"])} >= {"report.html", "lineage.json"}
        text = why("champion")
        for part in ("version 1 @champion", "2026-01-01 to 2026-01-30", "60 users", "click.auc", "made by      a test"):
            assert part in text


def test_the_pages_of_mlflow_say_the_verdict_in_words(again: Path) -> None:
    client = runs_client()
    version = client.get_model_version("triad", "1")
    assert version.description.startswith("**PASS.** Night as of ") and "no champion" in version.description
    assert client.get_run(version.run_id).data.tags["mlflow.note.content"] == version.description
    assert "`champion` names the one that serves" in client.get_registered_model("triad").description
    for words in ("**FAIL.** Judged anew.", "A person's own words"):
        client.update_model_version("triad", "1", words)
        registry.explain(client, "triad", "champion", "1", "**PASS.** Judged once more.")
        kept = client.get_model_version("triad", "1").description
        assert kept == ("**PASS.** Judged once more." if words.startswith("**") else words)


def test_no_customer_is_named_in_what_is_logged(published: Path) -> None:
    with inside(published):
        found, client = outcome(), runs_client()
        run = client.get_run(found["run_id"])
        logged = json.dumps([run.data.to_dictionary(), client.get_model_version("triad", "1").tags])
        logged += (published / "artifacts/publish/published.json").read_text()
        for path in Path(run.info.artifact_uri.removeprefix("file://")).rglob("*.json"):
            logged += path.read_text()
        assert "u0001" not in logged and "lineage" in logged


def test_publishing_again_registers_nothing(again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, made, told = outcome(), registry.versions(runs_client(), "triad"), why("1")
    publish(make_params())
    assert outcome() == first
    assert registry.versions(runs_client(), "triad") == made
    # nor do code or limits that change no number: the verdict is still that of the model which serves by now
    monkeypatch.setattr(lineage, "code_digest", lambda: "another")
    publish(make_params(evaluate={"margin": 0.5}))
    assert outcome() == first and registry.versions(runs_client(), "triad") == made
    assert why("1") == told


def test_the_service_starts_from_the_state_of_its_version_and_night(
    again: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, read = Place("triad", "champion", make_params().recommend, lambda: again), "is of another night or version"
    assert place.mark()[0] == "1" and "the state" not in caplog.text
    caplog.set_level("INFO", "triad.serve")
    written = place.load("1")
    assert written.version == "1" and read not in caplog.text
    note = again / lineage.SERVED / "night.json"
    note.write_text(note.read_text() + " ")
    from_tables = place.load("1")
    assert caplog.text.count(read) == 1
    lists = [asking.recommend(n.visit(7, [], n.moment), 5) for n in (written.night, from_tables.night)]
    assert lists[0].items.tolist() == lists[1].items.tolist() and len(lists[0].items) == 5
    publish(make_params())  # the same night again writes the same state
    place.load("1")
    (again / TABLES / "events" / "day=2026-02-05").mkdir()  # a newer night's tables
    place.load("1")
    assert caplog.text.count(read) == 2


def light_night(of: str, *, doubts: tuple[str, ...] = (), **dials: bool) -> dict:
    """A light night that goes on from the champion `of`: its refitted model moved, and was looked at."""
    params = make_params(
        ingest={"as_of": str(END + timedelta(days=1)), "window_days": (END - START).days},
        retraining={"night": "light", **dials},
        champion={"version": int(of)},
    )
    fetch_champion(params)
    path = ARTIFACTS / "refit" / "fuse" / "fusion.json"
    write_json(path, {**read_json(path), "record": {"light": [of, *doubts, str(dials)]}})
    health = ARTIFACTS / "refit" / "health.json"
    write_json(health, {**read_json(health), "doubts": list(doubts)})
    publish(params)
    return outcome()


def test_a_light_night_registers_the_champions_twin_and_serves_on_health(again: Path) -> None:
    shutil.rmtree(ARTIFACTS / "features")  # what a light night does not make
    shutil.rmtree(ARTIFACTS / "fuse")
    shutil.rmtree(ARTIFACTS / "evaluate")
    found = light_night("1")
    assert (found["verdict"], found["promoted"], found["version"], champion()) == ("PASS", True, "2", "2")
    twins = [registry.folder_of("triad", number) / "artifacts" for number in ("1", "2")]
    for part in ("state", "fuse"):
        assert digest(twins[0] / part) == digest(twins[1] / part)
    assert digest(twins[0] / "refit" / "fuse") != digest(twins[1] / "refit" / "fuse")
    line, tags = registry.describe("triad", "2").lineage, registry.versions(runs_client(), "triad")["2"]
    assert line["night"] == {"from": "1", "twin": "1", "first_day": str(END)}
    assert line["learned"]["evaluated"] == registry.describe("triad", "1").lineage["learned"]["evaluated"]
    assert (tags["night"], tags["goes_on_from"], tags["previous_champion"]) == ("light", "1", "1")
    assert "version 1 learned the days from" in why("2") and "from version 1 to version 2" in lineage.diff("1", "2")
    # the next one goes on from the full night's too, so that nothing adds up from light night to light night
    assert light_night("2", light_serves=True)["promoted"]
    assert registry.describe("triad", "3").lineage["night"] == {"from": "2", "twin": "1", "first_day": str(END)}
    assert digest(ARTIFACTS / "champion" / "refit") == digest(twins[0] / "refit")
    (again / "params.yaml").write_text("publish: {model: triad}\n")
    assert retained.Registry(again, tracking_uri()).needed == {"3", "2", "1"}
    # a full night that starts from it meets the twin's days, not those that the light night taught
    fetch_champion(make_params(champion={"version": 2}))
    assert read_json(ARTIFACTS / "champion" / "state" / "state.json") == read_json(twins[0] / "state" / "state.json")
    assert registry.rollback("triad", "champion").endswith("serves version 2 now, instead of 3.")


def test_a_light_night_that_may_not_serve_leaves_the_champion(again: Path) -> None:
    found = light_night("1", doubts=("click: drift of scores 0.300, above 0.1",))
    assert (found["verdict"], found["promoted"], champion()) == ("INCONCLUSIVE", False, "1")
    assert found["reasons"] == ["click: drift of scores 0.300, above 0.1"]
    held = light_night("1", light_serves=False)
    assert held["promoted"] is False and "retraining.light_serves is false" in held["reasons"][-1]
    assert "serves version" in promote("triad", "champion", held["version"])
    late = light_night("1", light_serves=True)
    assert late["promoted"] is False and f"version {held['version']} serves by now" in late["reasons"][-1]


def test_only_a_pass_moves_the_alias(again: Path) -> None:
    for verdict in ("FAIL", "INCONCLUSIVE"):
        found = next_night(verdict, "1")
        assert found["promoted"] is False and found["champion"] == "1" == champion()
        assert found["reasons"] == [f"click: {verdict.lower()} in a test"]
    found = next_night("PASS", "1", auc=0.8)
    assert found["promoted"] is True and found["version"] == "4" == champion()
    assert "0.7 → 0.8" in why("4")


def test_a_verdict_against_a_champion_that_is_gone_is_refused(again: Path) -> None:
    next_night("PASS", "1")
    before = outcome()
    with pytest.raises(TriadError, match="made against version 1, but version 2 serves"):
        next_night("PASS", "1")
    assert champion() == "2" and outcome() == before
    judge("PASS", "2")  # evaluated again: the version that was registered above is promoted, not a further one
    publish(make_params())
    assert champion() == "3" and list(registry.versions(runs_client(), "triad")) == ["1", "2", "3"]
    assert registry.versions(runs_client(), "triad")["3"]["compared_with"] == "2"


def test_what_was_rolled_back_is_not_promoted_by_publishing_it_again(again: Path) -> None:
    next_night("PASS", "1")
    registry.rollback("triad", "champion")
    publish(make_params())
    found = outcome()
    assert champion() == "1" and found["champion"] == "1" and found["promoted"] is False
    assert "rolled back" in found["reasons"][-1]
    registry.rollback("triad", "champion", "2")
    publish(make_params())
    assert champion() == "2" and outcome()["promoted"] is True


def test_an_experiment_registers_and_compares_and_promotes_nothing(
    again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wordy-hart")
    monkeypatch.setenv("DVC_ROOT", str(again))
    made = next_night("PASS", "1")
    assert (made["version"], made["promoted"], made["champion"], champion()) == ("2", False, "1", "1")
    assert made["experiment"] == "wordy-hart" and "`triad promote 2` does" in made["reasons"][-1]
    assert runs_client().get_run(made["run_id"]).info.status == "FINISHED"
    assert registry.versions(runs_client(), "triad")["2"]["experiment"] == "wordy-hart"
    judge("INCONCLUSIVE", "1")  # it may judge anew what an experiment made
    publish(make_params())
    assert registry.versions(runs_client(), "triad")["2"]["verdict"] == "INCONCLUSIVE"
    monkeypatch.delenv("DVC_EXP_NAME")
    judge("PASS", "1")
    publish(make_params())  # the same night outside of an experiment
    assert (outcome()["version"], outcome()["promoted"], champion()) == ("2", True, "2")
    monkeypatch.setenv("DVC_EXP_NAME", "wordy-hart")
    judge("FAIL", "1")  # but not what serves by now
    publish(make_params())
    assert registry.versions(runs_client(), "triad")["2"]["verdict"] == "PASS" and champion() == "2"


def test_an_experiment_is_a_first_night_that_promotes_nothing(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published / "artifacts", tmp_path / "shop" / "artifacts")
    shutil.rmtree(tmp_path / "shop" / "artifacts" / "publish")
    with pytest.MonkeyPatch.context() as patch, inside(tmp_path / "shop"):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DVC_EXP_NAME", "wordy-hart")
        publish(make_params())
        assert (outcome()["version"], outcome()["promoted"], champion()) == ("1", False, None)
        patch.delenv("DVC_EXP_NAME")
        publish(make_params())
        assert (outcome()["version"], outcome()["promoted"], champion()) == ("1", True, "1")


def test_nothing_is_published_where_the_registry_is_lost(again: Path) -> None:
    (again / "mlflow.db").rename(again / "mlflow.old")
    with pytest.raises(TriadError, match="triad was registered once"):
        publish(make_params())
    assert not (again / "mlflow.db").exists()


def test_comparing_the_champion_with_itself_does_not_rewrite_its_history(again: Path) -> None:
    judge("INCONCLUSIVE", "1", auc=0.1)
    publish(make_params())
    assert registry.versions(runs_client(), "triad")["1"]["verdict"] == "PASS"
    assert re.search(r"click\.auc +0\.7$", why("1"), re.MULTILINE)
    assert champion() == "1" and outcome()["promoted"] is True


def test_a_publish_that_fails_leaves_the_former_outcome(again: Path) -> None:
    before = outcome()
    (ARTIFACTS / "evaluate" / "metrics.json").unlink()
    with pytest.raises(TriadError, match="dvc repro evaluate"):
        publish(make_params())
    assert outcome() == before


def test_customers_are_answered_by_the_refitted_model_and_the_gate_by_its_twin(published: Path) -> None:
    with inside(published):
        model = registry.load_champion("triad", "champion")
        assert registry.load_champion("no such model", "champion") is None
        evaluated, twin = dataset.load(ARTIFACTS / "features"), Fused.load(ARTIFACTS / "fuse")
        refitted = ServingModel.load(ARTIFACTS / "refit" / "state", ARTIFACTS / "refit" / "fuse")
        data, fused = refitted.dataset(TABLES), refitted.fused
        rows = Texts.of(evaluated.exposures.event_id[evaluated.rows("test")]).places(data.exposures.event_id)
        rows = np.flatnonzero(rows >= 0)
        assert model is not None and model.version == "1" and len(rows) > 100
        ids = pa.array(data.exposures.event_id[rows])
        table = model.predict(TABLES, ids)
        assert table["event_id"].to_pylist() == ids.to_pylist()
        assert table["user_id"].to_pylist() == data.users.user_id[data.exposures.user[rows]].tolist()
        expected = fused.predict(data, rows)
        for task in ("click", "conversion"):
            np.testing.assert_array_equal(table[task].to_numpy(), expected[task])
        classes = data.meta.classes["profile"]
        for at, name in enumerate(classes):
            np.testing.assert_array_equal(table[f"profile_{name}"].to_numpy(), expected["profile"][:, at])
        assert table["profile"].to_pylist() == [classes[at] for at in expected["profile"].argmax(axis=1)]
        assert set(table["profile"].to_pylist()) <= {"bargain", "loyal", "rare"}

        assert isinstance(model, ServingModel) and model.twin is not None
        asked = window(evaluated, "test", 100, 1)
        answers, judged = model.answers(TABLES, ask(evaluated, asked)), twin.predict(evaluated, asked.rows)
        assert all(np.array_equal(answers.tasks[task], judged[task]) for task in judged)
        assert not np.array_equal(answers.tasks["click"], expected["click"])
        # nothing that the twin learned from lies in the days it is judged on; the refitted one knows the last of them
        first, last = evaluated.meta.windows["test"]
        assert model.twin.state.meta.windows["train"][1] <= first < last == model.state.meta.windows["train"][1]


def test_tables_come_from_a_folder_a_url_arrow_or_pandas(published: Path) -> None:
    import fsspec

    with inside(published):
        model = registry.load_champion("triad", "champion")
        assert model is not None
        from_folder = model.predict(TABLES)
        with opened(TABLES) as session:
            names = ("users", "items", "events", "prices")
            arrow = {name: session.sql(f"SELECT * FROM {name}").to_arrow_table() for name in names}
        assert model.predict(arrow).equals(from_folder)
        assert model.predict({name: table.to_pandas() for name, table in arrow.items()}).equals(from_folder)
        memory = fsspec.filesystem("memory")
        memory.put(str(TABLES), "/published", recursive=True)
        assert model.predict("memory://published").equals(from_folder)
        assert model.predict(TABLES.resolve().as_uri()).equals(from_folder)
        with pytest.raises(TriadError, match="missing tables: items, users"):
            model.predict({"events": arrow["events"]})
        with pytest.raises(TriadError, match="table prices"):
            model.predict({name: arrow[name] for name in names[:3]})


def test_files_that_this_code_cannot_follow_are_named(published: Path, tmp_path: Path) -> None:
    from triad.tracking.serving import load_registered

    shutil.copytree(published / "artifacts" / "features" / "state", tmp_path / "artifacts" / "state")
    shutil.copytree(published / "artifacts" / "fuse", tmp_path / "artifacts" / "fuse")
    shutil.copytree(published / "artifacts" / "refit", tmp_path / "artifacts" / "refit")
    assert load_registered("triad", "7", tmp_path).version == "7"
    (tmp_path / "artifacts" / "state" / "state.json").write_text('{"params": {}}')
    with pytest.raises(TriadError, match="model triad, version 7"):
        load_registered("triad", "7", tmp_path)


def test_a_version_of_other_code_answers_by_its_own_package(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inside(published):
        folder = registry.folder_of("triad", "1")
        own = registry.load_champion("triad", "champion")
        data = dataset.load(ARTIFACTS / "features")
        question = ask(data, window(data, "test", 100, 1))
        assert isinstance(own, ServingModel)
        shutil.copytree(folder, tmp_path / "model")
        packaged = Packaged("triad", "1", tmp_path / "model")
        expected, found = own.answers(TABLES, question), packaged.answers(TABLES, question)
        assert found.classes == expected.classes
        assert found.ranks is not None and np.array_equal(found.ranks, expected.ranks)
        assert set(found.tasks) == set(expected.tasks)
        assert all(np.array_equal(found.tasks[task], expected.tasks[task]) for task in expected.tasks)
        settings = RecommendParams(k=3)
        assert packaged.recommend(TABLES, settings).equals(own.recommend(TABLES, settings))

        # its code is really its own: what is changed there changes the answers, and what fails there is told
        code = "triad/tracking/serving.py"
        repacked(
            tmp_path / "model",
            lambda source: source.replace("return answer(", "raise ValueError('old') or answer("),
            code,
        )
        with pytest.raises(TriadError, match="version 1, asked by the code in its package: ValueError: old"):
            packaged.answers(TABLES, question)

        # and it is told of no secret, wherever this process has them from
        for name in ("AWS_SECRET_ACCESS_KEY", "TRIAD_SIGNING_KEY", "MLFLOW_TRACKING_PASSWORD", "AIRFLOW__X", "DVC_X"):
            monkeypatch.setenv(name, "a secret")
        told = "KeyError({**os.environ, 'at': os.getcwd()})"
        repacked(tmp_path / "model", lambda source: source.replace("ValueError('old')", told), code)
        imported = "import os\nfrom dataclasses"
        repacked(tmp_path / "model", lambda source: source.replace("from dataclasses", imported, 1), code)
        with pytest.raises(TriadError, match="asked by the code in its package: KeyError") as raised:
            packaged.answers(TABLES, question)
        assert "'PATH'" in raised.value.what and "a secret" not in raised.value.what
        assert str(Path.home()) not in re.findall(r"'(?:HOME|at)': '(.*?)'", raised.value.what)
        described = tmp_path / "model" / "MLmodel"
        assert is_of_this_code(tmp_path / "model")
        described.write_text(described.read_text().replace(code_digest(), "0" * 32))
        assert not is_of_this_code(tmp_path / "model")


def test_the_champion_of_other_code_is_asked_through_its_package(again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triad.tracking.packaged.code_digest", lambda: "0" * 32)
    found = registry.load_champion("triad", "champion")
    assert isinstance(found, Packaged)
    assert found.version == "1"


def test_lost_files_of_the_champion_are_named(again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    def gone(uri: str, dst_path: str) -> str:
        raise OSError(f"No such artifact: {uri}")

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", gone)
    monkeypatch.setattr(direct, "entry_of", lambda *_: None)  # as of a registry that is no file here
    with pytest.raises(TriadError, match="cannot be read: No such artifact"):
        registry.load_champion("triad", "champion")


def test_lost_files_in_a_registry_of_this_machine_are_named(again: Path) -> None:
    with closing(sqlite3.connect(again / "mlflow.db")) as store, store:
        store.execute("UPDATE model_versions SET storage_location = storage_location || '-gone'")
    with pytest.raises(TriadError, match="cannot be read"):
        registry.load_champion("triad", "champion")


ALONE = """
import sys
sys.path.append(sys.argv[1])
import importlib.util
assert importlib.util.find_spec("triad") is None, "the code must come with the model"
import mlflow, pandas, numpy
model = mlflow.pyfunc.load_model(sys.argv[2])
asked = pandas.DataFrame({"tables": [sys.argv[3]]})
model.predict(asked).to_parquet("scores.parquet")
model.predict(asked, params={"mode": "recommend", "k": 3}).to_parquet("lists.parquet")
import triad
print(triad.__file__)
for wrong in (dict(model_input=asked, params={"mode": "guess"}), dict(model_input=pandas.DataFrame({"x": [1]}))):
    try:
        model.predict(**{"data" if k == "model_input" else k: v for k, v in wrong.items()})
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
"""


def test_the_registered_model_serves_where_the_package_is_not_installed(published: Path, tmp_path: Path) -> None:
    with inside(published):
        folder = registry.folder_of("triad", "1")
        model = registry.load_champion("triad", "champion")
        assert model is not None
        expected, tables = model.predict(TABLES), str(TABLES.resolve())
    packages = next(path for path in site.getsitepackages() if (Path(path) / "mlflow").is_dir())
    # -I -S: no environment, no current folder, and no .pth file that would bring this checkout back
    command = [sys.executable, "-I", "-S", "-c", ALONE, packages, str(folder), tables]
    environment = {**os.environ, "TRIAD_SERVE_ROOTS": shlex.quote(tables)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert Path(lines[0]).is_relative_to(folder)
    assert lines[1].startswith("RefusedError params.mode: unknown mode 'guess'")
    assert lines[2].startswith("RefusedError model input")
    scores = pq.read_table(tmp_path / "scores.parquet")
    assert scores["event_id"].to_pylist() == expected["event_id"].to_pylist()
    for task in ("click", "conversion", "profile_loyal"):
        np.testing.assert_array_equal(scores[task].to_numpy(), expected[task].to_numpy())
    lists = pq.read_table(tmp_path / "lists.parquet").to_pylist()
    assert {row["rank"] for row in lists} == {1, 2, 3} and len(lists) == 180


def test_a_mapping_of_tables_goes_through_mlflow_too(published: Path) -> None:
    import mlflow

    with inside(published):
        from triad.tracking.store import quiet

        with quiet():
            model = mlflow.pyfunc.load_model(str(registry.folder_of("triad", "1")))
        with opened(TABLES) as session:
            tables = {
                name: session.execute(f"SELECT * FROM {name}").df() for name in ("users", "items", "events", "prices")
            }
        frame = model.predict(tables)
        own = ServingModel.load(ARTIFACTS / "refit" / "state", ARTIFACTS / "refit" / "fuse").predict(TABLES)
        np.testing.assert_array_equal(frame["click"], own["click"].to_numpy())
        asked = {"mode", "k", "query", "user_id", "tone", "length"}
        assert {spec.name for spec in model.metadata.signature.params} == asked
        listed = Path(registry.folder_of("triad", "1") / "requirements.txt").read_text().split()
        assert listed == runs.requirements()
