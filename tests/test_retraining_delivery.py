"""The lists reach the shop whole, by the model that serves, and never older than those it has; so after a rollback."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from make_night import inside, make_night, make_params
from make_pipeline import environment

from triad.artifacts import write_json
from triad.errors import TriadError
from triad.locking import held
from triad.retraining.closing import tell_registry
from triad.retraining.delivery import CURRENT, hand_over, is_whole, renew
from triad.retraining.opening import _pin_starts
from triad.retraining.pruning import _deliveries
from triad.retraining.run import Run, in_use
from triad.stages.publish import publish
from triad.tracking import registry, store
from triad.workspace import write_params


def lists(folder: Path, version: str | None, as_of: str, text: str = "rows") -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "summary.json", {"model_version": version, "as_of": as_of})
    (folder / "recommendations.parquet").write_text(text)
    return folder


def test_lists_are_held_back_that_are_not_the_champions_or_are_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAD_DELIVERY", str(tmp_path / "shop"))
    current, made = tmp_path / "shop" / "current", tmp_path / "lists"
    assert hand_over(lists(made, None, "2026-03-01"), tmp_path, None)[0] is None
    assert hand_over(lists(made, "3", "2026-03-01"), tmp_path, "4") == (
        None,
        "the lists are version 3's, but version 4 serves by now",
    )
    first, _ = hand_over(lists(made, "4", "2026-03-02"), tmp_path, "4")
    assert hand_over(made, tmp_path, "4")[0] == first == str(current.resolve())
    backfill, why = hand_over(lists(made, "4", "2026-03-01"), tmp_path, "4")
    assert backfill is None and "newer, as of 2026-03-02" in why
    assert str(current.resolve()) == first
    again, _ = hand_over(lists(made, "4", "2026-03-02", "other rows"), tmp_path, "4")
    assert again != first and str(current.resolve()) == again
    # an older day's lists by the model that serves take the place of newer ones by a model that does not
    back, _ = hand_over(lists(made, "3", "2026-03-01"), tmp_path, "3")
    assert str(current.resolve()) == back


@pytest.mark.parametrize("damage", ["empty", "a file is gone", "a file is cut short", "another file lies there"])
def test_a_delivery_that_is_no_longer_whole_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("TRIAD_DELIVERY", str(tmp_path / "shop"))
    first, _ = hand_over(lists(tmp_path / "lists", "4", "2026-03-02"), tmp_path, "4")
    assert first is not None
    folder = Path(first)
    if damage == "empty":
        for path in folder.iterdir():
            path.unlink()
    elif damage == "a file is gone":
        (folder / "summary.json").unlink()
    elif damage == "a file is cut short":
        (folder / "summary.json").write_text("{")
    else:
        (folder / "more.parquet").write_text("")
    assert not is_whole(folder)
    assert hand_over(tmp_path / "lists", tmp_path, "4")[0] == first
    assert is_whole(folder) and (tmp_path / "shop" / "current").resolve() == folder
    assert json.loads((folder / "summary.json").read_text())["as_of"] == "2026-03-02"


def test_pruning_waits_for_a_delivery_and_clears_what_killed_ones_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    monkeypatch.setenv("TRIAD_DELIVERY", str(shop))
    for day in ("2026-03-01", "2026-03-02"):
        hand_over(lists(tmp_path / "lists", "4", day), tmp_path, "4")
    left = [".gone-2026-02-01-v3-01234567-89abcdef", ".2026-02-02-v3-01234567.new"]
    others = [".gone-fishing", ".draft.new"]
    for name in left + others:
        (shop / name).mkdir()
    with ThreadPoolExecutor(1) as pool, held(shop / CURRENT):
        going = pool.submit(_deliveries, shop, -1)
        time.sleep(0.2)
        assert not going.done() and len(list(shop.glob("2026*"))) == 2
        hand_over(lists(tmp_path / "lists", "4", "2026-03-03"), tmp_path, "4")
    assert [name[:10] for name in going.result()] == ["2026-03-01", "2026-03-02"]
    assert (shop / CURRENT / "summary.json").is_file()
    assert sorted(path.name for path in shop.glob(".*")) == sorted(others)


def test_a_workspace_that_was_pruned_meanwhile_says_so(tmp_path: Path) -> None:
    (tmp_path / "night" / ".triad").mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "night" / ".triad" / "in_use.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # as prune does
            entering = pool.submit(lambda: in_use(tmp_path / "night").__enter__())
            time.sleep(0.2)
            assert not entering.done()
            shutil.rmtree(tmp_path / "night")
        with pytest.raises(TriadError, match="was removed"):
            entering.result()
    with pytest.raises(TriadError, match="was removed"), in_use(tmp_path / "night"):
        pass


def test_a_version_names_the_branch_of_the_run_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    night = Run("night", "2026-03-01", "abc", "airflow:nightly", str(tmp_path), str(tmp_path / "night"), None, "")
    found = store.client()
    found.create_registered_model("triad")
    found.create_model_version("triad", str(tmp_path), tags={"trigger": night.trigger_with_run})
    published, later = {"model": "triad", "version": 1}, replace(night, run_id="later")
    for run, branch in ((night, "retrain/2026-03-01"), (later, "retrain/2026-03-01-2")):  # kept the night's version
        tell_registry(run, published, branch, "abc")
    assert found.get_model_version("triad", "1").tags["branch"] == "retrain/2026-03-01"
    tell_registry(night, published, "retrain/2026-03-01-3", "def")  # closed again
    assert found.get_model_version("triad", "1").tags["branch"] == "retrain/2026-03-01-3"


def test_a_run_writes_down_which_versions_it_starts_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    found = store.client()
    for model, serving in (("triad", 2), ("elsewhere", 3)):
        found.create_registered_model(model)
        for _ in range(serving):
            found.create_model_version(model, str(tmp_path))
        found.set_registered_model_alias(model, "champion", str(serving))

    def started(**stages: str) -> tuple[object, object]:
        params = {"champion": {"version": None, "market": {"model": "elsewhere", "version": None}}}
        params |= {stage: {"init": init} for stage, init in stages.items()}
        write_params(tmp_path, params)
        _pin_starts(params, tmp_path, tmp_path)
        written = yaml.safe_load((tmp_path / "params.yaml").read_text())["champion"]
        return written["version"], written["market"]["version"]

    assert started(pretrain="scratch", finetune="pretrain") == (None, None)
    assert started(pretrain="champion") == (2, None)
    assert started(pretrain="champion", finetune="market") == (2, 3)


@pytest.mark.proof
def test_rolling_back_delivers_the_lists_of_the_model_that_serves_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_night(tmp_path / "shop")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    params = make_params()
    (shop / "params.yaml").write_text(params.model_dump_json(by_alias=True))
    (shop / "dvc.yaml").write_text("stages: {}\n")
    subprocess.run(["git", "init", "--quiet"], cwd=shop, check=True)
    with inside(shop):
        publish(params)
        found = store.client()
        first = found.get_model_version("triad", "1")
        found.create_model_version("triad", first.source, run_id=first.run_id)
        registry.promote(found, "triad", "champion", "2", "1")
    before = (shop / "params.yaml").stat().st_mtime_ns, sorted(p.name for p in (shop / "artifacts").iterdir())
    said = subprocess.run(
        [sys.executable, "-m", "triad", "rollback"],
        cwd=shop,
        env=environment(shop),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "serves version 1 now, instead of 2" in said
    assert f"made from the tables as of {params.ingest.as_of}" in said
    delivered = shop / ".triad" / "delivered" / "current"
    assert json.loads((delivered / "summary.json").read_text())["model_version"] == "1"
    served = pq.read_table(delivered / "recommendations.parquet")
    assert served.num_rows and set(served["model_version"].to_pylist()) == {"1"}
    after = (shop / "params.yaml").stat().st_mtime_ns, sorted(p.name for p in (shop / "artifacts").iterdir())
    assert after == before  # nothing but the delivery
    shutil.rmtree(shop / "artifacts" / "validate" / "tables")
    with pytest.raises(TriadError, match="no tables are at hand"):
        renew(shop)
