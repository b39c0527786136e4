"""The whole pipeline on the tiny shop, run as its users run it: by DVC, in a checkout of its own."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from make_workspace import checkout, remove, run, run_stages
from pickles import pickles
from tiny_shop import FIVE

from triad.config.params import merge

pytestmark = pytest.mark.proof

TINY = (
    FIVE
    + """\
  intent: {kind: choice, label: message_intent}
  reply: {kind: choice, label: message_reply, gated: false}
pretrain: {max_epochs: 3, trunk: {layers: 1}}
finetune: {max_epochs: 2, source_gate: false}
profile: {max_iterations: 60}
fuse: {bootstrap: 100}
evaluate: {bootstrap: 100}
"""
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = checkout(tmp_path_factory.mktemp("night") / "shop", TINY)
    run(folder, "dvc", "repro")
    yield folder
    remove(folder)


def test_a_night_ends_with_a_promoted_model_its_report_and_recommendations(night: Path) -> None:
    published = json.loads((night / "artifacts/publish/published.json").read_text())
    verdict = json.loads((night / "artifacts/evaluate/report/verdict.json").read_text())
    assert published["verdict"] == verdict["verdict"]
    assert (verdict["verdict"], published["promoted"]) == ("PASS", True), verdict["reasons"]
    page = (night / "artifacts/evaluate/report/report.html").read_text()
    assert not re.search(r'(src|href)="https?://', page)
    assert 0 < page.index("learned up to 2026-02-28") < page.index("At a glance")
    said = run(night, "triad", "summary")
    assert "learned up to 2026-02-28" in said and re.search(
        r"this full night's stages took \d+ processor-seconds", said
    )
    assert re.search(r"click +AUC +0\.\d+ \[0\.\d+, 0\.\d+\]", said) and "PASS" in said


def test_nothing_that_a_night_with_networks_writes_is_a_pickle(night: Path) -> None:
    for written in (night / "artifacts", night / "mlartifacts"):
        assert any(written.rglob("*.keras")) and not pickles(written)


def test_a_second_run_does_nothing(night: Path) -> None:
    assert "Data and pipelines are up to date" in run(night, "dvc", "repro")


def test_dvc_shows_metrics_and_plots_and_compares_experiments(night: Path) -> None:
    shown = json.loads(run(night, "dvc", "metrics", "show", "--json"))
    assert "click" in str(shown)
    run(night, "dvc", "plots", "show", "-o", "plots.html")
    assert (night / "plots.html").stat().st_size > 1000


def test_artifacts_go_to_a_remote_and_come_back(night: Path, tmp_path: Path) -> None:
    run(night, "dvc", "remote", "add", "--local", "-f", "-d", "store", str(tmp_path / "store"))
    run(night, "dvc", "push")
    kept = (night / "artifacts/evaluate/report/report.html").read_bytes()
    shutil.rmtree(night / "artifacts/evaluate/report")
    shutil.rmtree(night / ".dvc/cache")
    run(night, "dvc", "pull")
    assert (night / "artifacts/evaluate/report/report.html").read_bytes() == kept
    assert "Data and pipelines are up to date" in run(night, "dvc", "repro")


def test_a_change_of_one_dial_runs_just_what_reads_it(night: Path) -> None:
    said = run(night, "dvc", "exp", "run", "-S", "recommend.k=5")
    assert "Running stage 'recommend'" in said
    assert "Running stage 'publish'" not in said
    rows = pq.read_table(night / "artifacts/recommend/recommendations.parquet", columns=["rank"])
    assert max(rows["rank"].to_pylist()) == 5
    params = yaml.safe_load((night / "params.yaml").read_text())
    assert params["recommend"]["k"] == 5


SCORE_RAW_TABLES = """
import mlflow, numpy, pandas, pathlib, pyarrow.parquet
from triad.tracking.registry import load_champion
mlflow.set_tracking_uri("sqlite:///mlflow.db")
tables = pathlib.Path("artifacts/validate/tables")
champion = load_champion("triad", "champion")
judged = champion.twin.predict(tables).to_pandas().set_index("event_id")
scored = pyarrow.parquet.read_table("artifacts/evaluate/report/scores.parquet").to_pandas().set_index("event_id")
served = mlflow.pyfunc.load_model("models:/triad@champion").predict(pandas.DataFrame({"tables": [str(tables)]}))
refitted = champion.predict(tables).to_pandas().set_index("event_id")
assert len(scored) > 1000
for task in ("click", "conversion", "price"):
    # the last bits of a network's answer depend on which rows lie beside it in a batch; trees give the very same
    numpy.testing.assert_allclose(judged.loc[scored.index, task], scored[task], rtol=1e-5, err_msg=task)
    served_scores = served.set_index("event_id").loc[refitted.index, task].to_numpy(float)
    numpy.testing.assert_allclose(served_scores, refitted[task], rtol=1e-5, err_msg=task)
assert not numpy.allclose(refitted.loc[scored.index, "click"], scored["click"], rtol=1e-5)
ask = {"conversations": [{"message_id": "a", "message": "where is my parcel?"}, {"message_id": "b", "message": ""}]}
served = mlflow.pyfunc.load_model("models:/triad@champion")
sure, unsure = served.predict(ask, params={"mode": "answer"}).to_dict("records")
assert sure["intent"] in ("order_status", None) and sure["intent_score"] > unsure["intent_score"], (sure, unsure)
assert unsure["reply"] is None, unsure
print("the same scores")
"""


def test_the_registered_model_scores_raw_tables_as_evaluation_did(night: Path) -> None:
    assert "the same scores" in run(night, sys.executable, "-c", SCORE_RAW_TABLES, TRIAD_SERVE_ROOTS=".")


def figures(entry: dict, path: str = "") -> Iterator[tuple[str, float]]:
    """Path → figure, of a task's entry in metrics.json."""
    for name, value in entry.items():
        if isinstance(value, dict):
            yield from figures(value, f"{path}.{name}")
        elif isinstance(value, int | float):
            yield f"{path}.{name}", value


def test_two_runs_of_one_seed_give_the_same_metrics(night: Path, tmp_path: Path) -> None:
    """One by DVC, a process a stage; the other all in one process."""
    again = checkout(tmp_path / "again", TINY)
    try:
        run_stages(again, "evaluate")
        first, second = (json.loads((f / "artifacts/evaluate/metrics.json").read_text()) for f in (night, again))
        # trees that order lists can turn the last bits of a network's answers into another order of a few lists
        one, other = (dict(figures(each.pop("next"))) for each in (first, second))
        assert first == second
        assert one == pytest.approx(other, abs=0.02)
    finally:
        remove(again)


def test_an_experiment_beside_the_workspace_meets_the_champion_and_promotes_nothing(night: Path) -> None:
    # with its lock committed, what runs in DVC's temporary folder needs to do no more than what changed
    nobody = ("-c", "user.name=a", "-c", "user.email=a@b")
    run(night, "git", "add", "dvc.lock")
    run(night, "git", *nobody, "commit", "--quiet", "-m", "the lock", "dvc.lock")
    said = run(night, "dvc", "exp", "run", "--temp", "--name", "tried", "-S", "fuse.mask_seen=true")
    assert "Running stage 'fuse'" in said and "Running stage 'finetune'" not in said
    assert "first" not in said.split("Running stage 'evaluate'")[1]
    run(night, "dvc", "exp", "apply", "tried")
    published = json.loads((night / "artifacts/publish/published.json").read_text())
    verdict = json.loads((night / "artifacts/evaluate/report/verdict.json").read_text())
    assert (published["version"], published["promoted"], published["champion"]) == ("2", False, "1")
    assert (verdict["champion"], verdict["experiment"], published["experiment"]) == ("1", "tried", "tried")
    told = run(night, "triad", "summary")
    assert "the experiment tried" in told and "registered as version 2 of triad, not promoted" in told
    assert published["run_id"] in run(night, "triad", "why", "2")
    assert "version 1 @champion" in run(night, "triad", "why", "champion")


def test_the_next_night_can_start_from_the_champion(night: Path) -> None:
    def dial(overlay: str) -> None:
        params = yaml.safe_load((night / "params.yaml").read_text())
        (night / "params.yaml").write_text(yaml.safe_dump(merge(params, yaml.safe_load(overlay))))

    dial("""
        champion: {version: 1}
        pretrain: {init: champion}
        finetune: {init: champion}
        ingest: {as_of: "2026-03-02"}
    """)
    said = run_stages(night, "finetune")
    assert said.count("from a registered network; new is") == 2
    ids = [
        pq.read_table(night / folder / "state/vocabularies/item.parquet")["id"].to_pylist()
        for folder in ("artifacts/champion", "artifacts/features")
    ]
    assert ids[1][: len(ids[0])] == ids[0]
    dial('ingest: {as_of: "2026-02-20"}')
    said = run_stages(night, "features", fails=True)
    assert "champion.version: 1: its train days reach to 2026-02-03, but tonight's validation days" in said


def test_bad_data_stops_the_run_and_earlier_outputs_stay(night: Path) -> None:
    part = next((night / "artifacts/ingest/tables/events").rglob("*.parquet"))
    whole, model = part.read_bytes(), (night / "artifacts/publish/published.json").read_bytes()
    report = (night / "artifacts/validate/report/result.json").read_bytes()
    try:
        part.unlink()
        part.write_bytes(whole[: len(whole) // 2])
        said = run(night, "triad", "validate", fails=True)
        assert part.name in said
        assert "Traceback" not in said
    finally:
        part.write_bytes(whole)
    assert (night / "artifacts/validate/report/result.json").read_bytes() == report
    assert (night / "artifacts/publish/published.json").read_bytes() == model
