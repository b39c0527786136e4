"""Nights in a real Airflow: scheduler, dag-processor, triggerer and api-server, spoken to as a shop's people do."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from make_airflow import Airflow, airflow, branches, champion, deploy
from tiny_shop import FIVE

from triad.cli import STAGES

pytestmark = pytest.mark.slow

SHOP = (
    FIVE
    + """\
pretrain: {max_epochs: 2}
finetune: {max_epochs: 2}
fuse: {bootstrap: 50}
evaluate: {bootstrap: 100}
"""
)
DAY = "2026-03-01"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with airflow(deploy(tmp_path_factory.mktemp("nights") / "shop", SHOP)) as started:
        yield started


@pytest.fixture(scope="module")
def night(running: Airflow) -> tuple[str, float]:
    """A run on the tiny shop, and the seconds from its trigger to its end."""
    start = time.monotonic()
    run = running.trigger("manual_retraining", as_of=DAY)
    assert running.wait(run) == "success", running.states(run)
    return run, time.monotonic() - start


def test_only_this_machine_is_listened_to_and_the_password_is_its_owners(running: Airflow) -> None:
    file = running.checkout / ".airflow" / "passwords.json"
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert len(json.loads(file.read_text())["admin"]) >= 16
    assert running.get("/api/v2/dags")[0] == 401


def test_a_tiny_night_ends_well_within_five_minutes(running: Airflow, night: tuple[str, float]) -> None:
    run, seconds = night
    print(f"\na tiny night, from trigger to end: {seconds:.0f} s")
    assert seconds < 300
    assert running.states(run) == dict.fromkeys(["open", *STAGES, "close", "promoted", "delivered"], "success")
    closed = running.told(run, "close")
    assert (closed["verdict"], closed["promoted"]) == ("PASS", True)
    assert closed["branch"] in branches(running.checkout)
    assert (running.checkout / ".triad" / "delivered" / "current" / "recommendations.parquet").is_file()
    assert "manual_retraining/manual__" in champion(running.checkout)


def test_only_names_and_numbers_go_between_tasks(running: Airflow, night: tuple[str, float]) -> None:
    run, _ = night
    for task in running.tasks(run):
        entries = running.dag("GET", f"{run}/taskInstances/{task}/xcomEntries")["xcom_entries"]
        told = [json.dumps(running.told(run, task, entry["key"])) for entry in entries]
        assert sum(map(len, told)) < 3000, (task, told)


def test_links_open_for_those_who_may_read(running: Airflow, night: tuple[str, float]) -> None:
    run, _ = night
    shown = {task: running.dag("GET", f"{run}/taskInstances/{task}/links")["extra_links"] for task in STAGES}
    for task, name, text in (("evaluate", "Report", "At a glance"), ("validate", "Data Docs", "Passed.")):
        status, page = running.get(shown[task][name], running.token)
        assert (status, text in page.decode()) == (200, True)
        assert running.get(shown[task][name])[0] == 401
    assert "/#/runs/" in shown["publish"]["MLflow run"]


def test_what_other_dags_are_scheduled_on_is_told(running: Airflow, night: tuple[str, float]) -> None:
    events = running.call("GET", "/api/v2/assets/events")["asset_events"]
    told = {event["name"]: event["extra"]["run_id"] for event in events}
    assert set(told) == {"triad_raw_data", "triad_features", "triad_model", "triad_recommendations"}


def test_a_misspelt_key_is_refused_at_once(running: Airflow) -> None:
    run = running.trigger("manual_retraining", as_off=DAY)
    assert running.wait(run) == "failed"
    tasks = running.tasks(run)
    assert tasks["open"]["try_number"] == 1
    assert "did you mean 'as_of'?" in running.log(run, "open")
    assert "did you mean 'as_of'?" in running.dag("GET", run)["note"]
    assert {tasks[stage]["state"] for stage in STAGES} == {"upstream_failed"}


def test_a_dry_run_shows_what_would_run_and_ends(running: Airflow, night: tuple[str, float]) -> None:
    run = running.trigger("manual_retraining", as_of=DAY, overrides=["fuse.folds=3"], dry_run=True)
    assert running.wait(run) == "success"
    states = running.states(run)
    assert states.pop("open") == "success"
    assert set(states.values()) == {"skipped"}
    log = running.log(run, "open")
    assert all(re.search(rf"{stage} +would run", log) for stage in ("fuse", "evaluate", "publish", "recommend"))
    assert all(re.search(rf"{stage} +is up to date", log) for stage in ("validate", "finetune", "profile"))


def test_a_failed_stage_is_cleared_and_the_run_goes_on(running: Airflow, night: tuple[str, float]) -> None:
    store, aside = running.checkout / "mlflow.db", running.checkout / "mlflow.aside"
    store.rename(aside)
    store.mkdir()  # the registry is out of reach
    try:
        run = running.trigger("manual_retraining", as_of=DAY, overrides=["fuse.folds=4"])
        assert running.wait(run) == "failed"
        tasks = running.tasks(run)
        assert (tasks["evaluate"]["state"], tasks["evaluate"]["try_number"]) == ("failed", 3)  # it might have passed
        assert tasks["publish"]["state"] == "upstream_failed"
        fused = tasks["fuse"]["start_date"]
    finally:
        store.rmdir()
        aside.rename(store)
    running.clear(run)
    assert running.wait(run) == "success", running.states(run)
    assert running.tasks(run)["fuse"]["start_date"] == fused
    running.clear(run, "fuse")
    assert running.wait(run) == "success", running.states(run)
    assert (running.told(run, "fuse")["changed"], running.told(run, "recommend")["changed"]) == (False, False)


def test_corrupt_data_stop_the_run_and_the_champion_stays(running: Airflow, night: tuple[str, float]) -> None:
    before = champion(running.checkout)
    run = running.trigger("manual_retraining", as_of=DAY, overrides=["recommend.k=7"])
    assert running.wait(run) == "success"
    part = next((Path(running.told(run, "open")["workspace"]) / "artifacts/ingest/tables/events").rglob("*.parquet"))
    whole = part.read_bytes()
    part.unlink()  # it may be a link into the cache
    part.write_bytes(whole[: len(whole) // 2])
    running.clear(run, "validate")
    assert running.wait(run) == "failed"
    tasks = running.tasks(run)
    assert (tasks["validate"]["state"], tasks["validate"]["try_number"]) == ("failed", 2)  # the clearing's, no other
    later = STAGES[STAGES.index("features") :]  # the champion is fetched beside, whatever the data
    assert {tasks[stage]["state"] for stage in later} == {"upstream_failed"}
    assert part.name in running.log(run, "validate", 2)
    docs = running.dag("GET", f"{run}/taskInstances/validate/links")["extra_links"]["Data Docs"]
    assert "Failed" in running.get(docs, running.token)[1].decode()
    assert champion(running.checkout) == before


def test_a_night_and_a_persons_run_at_the_same_moment_both_end_right(running: Airflow) -> None:
    running.dag("PATCH", "nightly_retraining", {"is_paused": False})
    runs = [running.trigger("nightly_retraining"), running.trigger("manual_retraining", as_of="2026-02-20")]
    assert [running.wait(run, 900) for run in runs] == ["success", "success"], [running.states(run) for run in runs]
    made = [running.told(run, "close")["branch"] for run in runs]
    assert made == [f"retrain/{datetime.now(UTC).date()}", "retrain/2026-02-20"]


def test_past_days_are_made_up_for(running: Airflow) -> None:
    running.dag("PATCH", "nightly_retraining", {"is_paused": False})
    made = running.backfill(date(2026, 2, 10), date(2026, 2, 11))
    until = time.monotonic() + 900
    while not running.call("GET", made)["completed_at"] and time.monotonic() < until:
        time.sleep(2)
    assert {"retrain/2026-02-10", "retrain/2026-02-11"} <= branches(running.checkout)
