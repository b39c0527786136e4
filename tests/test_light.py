"""Light nights: which nights are, what one may go on from, and a full, a light and a full night in a row."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from make_airflow import deploy
from make_night import make_params
from make_workspace import ROOT, run
from test_pipeline import TINY

from triad.config.params import Params
from triad.digests import code_digest, digest
from triad.errors import TriadError
from triad.pipeline import check_stage
from triad.retraining import nights
from triad.tracking.continuing import check
from triad.tracking.lineage import told
from triad.tracking.registry import Version

FULL_ONLY = {"features", "pretrain", "finetune", "similarity", "profile", "fuse", "evaluate"}


@pytest.mark.parametrize(
    ("every", "full", "expected"),
    [
        (7, [], "full"),  # the first
        (7, ["2026-03-08"], "light"),
        (7, ["2026-03-04"], "light"),
        (7, ["2026-03-03"], "full"),  # a week ago
        (7, ["2026-02-01", "2026-03-08"], "light"),
        (7, ["2026-03-10"], "full"),  # as of the same day, once more
        (7, ["2026-03-12"], "full"),  # a backfill knows of nothing later
        (1, ["2026-03-09"], "full"),
        (2, ["2026-03-09"], "light"),
    ],
)
def test_which_nights_are_light(every: int, full: list[str], expected: str) -> None:
    assert nights.by_days(every, date(2026, 3, 10), map(date.fromisoformat, full)) == expected


def test_the_pipeline_of_a_light_night_reads_nothing_that_it_does_not_make() -> None:
    whole = (ROOT / "dvc.yaml").read_text()
    kept = yaml.safe_load(nights.light(whole))["stages"]
    assert set(yaml.safe_load(whole)["stages"]) - set(kept) == FULL_ONLY
    made = [path for stage in kept.values() for out in stage["outs"] for path in out]
    for name, stage in kept.items():
        for dep in stage["deps"]:
            assert not dep.startswith("artifacts/") or any(Path(dep).is_relative_to(path) for path in made), (name, dep)
    assert {"artifacts/champion", "artifacts/validate/tables"} <= set(kept["refit"]["deps"])
    assert "artifacts/champion" in kept["publish"]["deps"]


def test_dvc_repro_runs_no_light_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FULL_ONLY:
        with pytest.raises(TriadError, match=f"has no stage {name}"):
            check_stage(name, "light", ROOT / "dvc.yaml")
    for name, night in (*((each, "full") for each in FULL_ONLY), ("refit", "light")):
        with pytest.raises(TriadError, match="is not there yet"):  # the stage itself is one of the night's
            check_stage(name, night, ROOT / "dvc.yaml")
    check_stage("fuse", "light", ROOT / "no_pipeline.yaml")


def version(params: Params, **changes: Any) -> Version:
    """Version 3 as `publish` describes one that learned until the day before these params' `as_of`."""
    learned = {"evaluated": {"last_day": "2026-01-16"}, "refitted": {"last_day": "2026-01-29"}}
    line = {"params": json.loads(json.dumps(told(params))), "code": {"digest": code_digest()}, "learned": learned}
    return Version("triad", "3", "run", (), {}, line | changes)


TONIGHT = make_params()


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        (version(TONIGHT, learned={}), "it has no refitted model to go on from"),
        (version(TONIGHT, code={"digest": "another"}), "other code than tonight's made it"),
        (version(make_params(pretrain={"max_epochs": 3})), "other params: pretrain.max_epochs 3 → "),
        (version(make_params(fuse={"members": ["trees", "popularity"]})), "other params: fuse.members"),
        (version(TONIGHT, learned={"refitted": {"last_day": "2026-01-30"}}), "it has learned the days until"),
        (version(TONIGHT, learned={"refitted": {"last_day": "2026-02-03"}}), "learned the days until 2026-02-03"),
    ],
)
def test_what_a_light_night_cannot_go_on_from(champion: Version, said: str) -> None:
    with pytest.raises(TriadError, match=said) as refused:
        check(champion, TONIGHT)
    assert "version 3" in refused.value.where and refused.value.mend


def test_what_the_evaluated_run_did_not_choose_by_may_change() -> None:
    now = make_params(recommend={"k": 3, "order_by": "click"}, refit={"replay": 0.5}, champion={"version": 3})
    check(version(TONIGHT), now)


@pytest.mark.parametrize(
    ("asked", "dials", "expected"),
    [
        (None, {}, "full"),  # a registry is not even asked
        (None, {"full_every_days": 7}, "light"),
        (None, {"full_every_days": 8}, "full"),  # nothing that it could go on from
        ("full", {"full_every_days": 7}, "full"),
        ("full", {"night": "light"}, "full"),
        ("light", {}, "light"),
        (None, {"night": "light"}, "light"),
    ],
)
def test_a_night_says_in_its_params_what_it_is(
    asked: Any, dials: dict[str, Any], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serving(*_: Any) -> str:
        if dials.get("full_every_days") == 8:
            raise TriadError("no version serves", where="triad", mend="run a full night")
        return "3"

    monkeypatch.setattr(nights, "_champion", serving)
    monkeypatch.setattr(nights, "_full_nights", lambda *_: [date(2026, 1, 30)])
    params = json.loads(TONIGHT.model_dump_json(by_alias=True)) | {"retraining": dials}
    assert nights.settle(tmp_path, params, tmp_path, asked) == expected
    assert params["retraining"].get("night", "full") == expected
    assert params["champion"]["version"] == (3 if expected == "light" else None)


def test_a_light_night_that_is_asked_for_needs_a_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    params = json.loads(TONIGHT.model_dump_json(by_alias=True))
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    with pytest.raises(TriadError, match="no version serves that a light night could go on from"):
        nights.settle(tmp_path, params, tmp_path, "light")


ASKED = """
import json, pathlib, numpy, sys
from triad.config.params import load
from triad.evaluation.champion_protocol import answer
from triad.evaluation.scoring import ask
from triad.evaluation.window import window
from triad.examples.dataset import load as examples
from triad.tracking.fetching import folder_of
from triad.tracking.registry import describe
from triad.tracking.serving import ServingModel
tables, data = pathlib.Path("artifacts/validate/tables"), examples(pathlib.Path("artifacts/features"))
test = window(data, "test", 20000, 1)
first, second = (ServingModel.registered(folder_of("triad", n) / "artifacts", n) for n in "12")
question = ask(data, test)
known = data.meta.windows["test"][0]
assert second.twin.state.meta.windows["train"][1] <= known < second.state.meta.windows["train"][1]
twins = [model.answers(tables, question) for model in (first, second)]
for task, scores in twins[0].tasks.items():
    numpy.testing.assert_array_equal(scores, twins[1].tasks[task])
served = answer(second.fused, second.dataset(tables), question)
assert not numpy.allclose(served.tasks["click"], twins[0].tasks["click"])
labels = data.labels("click")[test.rows]
from sklearn.metrics import roc_auc_score
judged = json.loads(pathlib.Path("artifacts/evaluate/metrics.json").read_text())["click"]["champion"]
print("the gate asked the twin", roc_auc_score(labels, twins[1].tasks["click"]), json.dumps(judged))
"""


@pytest.mark.proof
def test_a_full_night_a_light_one_and_the_next_gate(tmp_path: Path) -> None:
    folder = deploy(tmp_path / "shop", TINY)  # nights leave branches: those of a clone

    def night(kind: str, day: str, *words: str, fails: bool = False) -> dict[str, Any]:
        command = ["retraining", "night", "--night", kind, "--as-of", day, *words]
        said = run(folder, "triad", *command, fails=fails)
        return json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("{")))

    none = night("light", "2026-03-01", fails=True)
    assert "no version serves" in none["error"]["what"]
    run(folder, "dvc", "repro")
    done = night("light", "2026-03-02")
    assert (done["verdict"], done["promoted"], done["version"]) == ("PASS", True, "2")
    assert set(done["cost"]["seconds"]) == {"ingest", "validate", "champion", "refit", "publish", "recommend"}
    made = Path(done["workspace"])
    assert json.loads((made / "artifacts/recommend/summary.json").read_text())["model_version"] == "2"
    assert done["delivered"] and "2026-03-02-v2" in done["delivered"]
    told = run(folder, "triad", "why", "champion")
    for part in ("version 2 @champion", "version 1 learned the days from 2026-03-01 on", "2026-03-01 (refitted)"):
        assert part in told
    # the twin's files are the champion's own
    for part, theirs in (("state", "features/state"), ("fuse", "fuse")):
        assert digest(made / "artifacts/champion" / part) == digest(folder / "artifacts" / theirs)
    assert (
        "has learned the days until 2026-03-01"
        in night("light", "2026-03-02", "--run-id", "a", fails=True)["error"]["what"]
    )
    other = night("light", "2026-03-03", "--run-id", "b", "--set", "fuse.mask_seen=true", fails=True)
    assert "other params: fuse.mask_seen False → True" in other["error"]["what"]
    # a light night is restored from its branch, with its own pipeline
    assert set(yaml.safe_load(run(folder, "git", "show", f"{done['branch']}:dvc.yaml"))["stages"]) == set(
        done["cost"]["seconds"]
    )
    full = night("full", "2026-03-03")
    place = Path(full["workspace"])
    assert json.loads((place / "artifacts/evaluate/report/verdict.json").read_text())["champion"] == "2"
    said = run(place, sys.executable, "-c", ASKED, MLFLOW_TRACKING_URI=f"sqlite:///{folder / 'mlflow.db'}")
    (told,) = [line for line in said.splitlines() if line.startswith("the gate asked the twin ")]
    auc, judged = told.removeprefix("the gate asked the twin ").split(" ", 1)
    assert json.loads(judged)["auc"] == pytest.approx(float(auc), abs=1e-6)
