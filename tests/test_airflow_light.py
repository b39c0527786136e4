"""Light nights in a real Airflow: made by the scheduler as the days say, and asked for in the trigger form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from make_airflow import Airflow, airflow, branches, champion, deploy
from test_airflow_nights import SHOP
from test_light import FULL_ONLY

from triad.cli import STAGES

pytestmark = pytest.mark.slow

FULL = date(2026, 3, 1)
SCHEDULED, ASKED = FULL + timedelta(days=1), FULL + timedelta(days=2)
WEEKLY = SHOP + "retraining: {full_every_days: 7}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    shop = deploy(tmp_path_factory.mktemp("light") / "shop", WEEKLY)
    # a cron that fires that day alone: of one that fired since, the last night would be made up for beside the backfill
    with airflow(shop, TRIAD_NIGHTLY_CRON="0 2 2 3 *") as started:
        yield started


def test_a_full_night_a_scheduled_light_one_and_one_that_is_asked_for(running: Airflow) -> None:
    first = running.trigger("manual_retraining", as_of=str(FULL))
    assert running.wait(first, 1800) == "success", running.states(first)
    assert "skipped" not in {running.states(first)[stage] for stage in STAGES}  # none before it: it is full

    running.dag("PATCH", "nightly_retraining", {"is_paused": False})
    made, until = running.backfill(SCHEDULED, SCHEDULED), time.monotonic() + 1800
    while not running.call("GET", made)["completed_at"]:
        assert time.monotonic() < until
        time.sleep(1)
    (run,) = running.dag("GET", "nightly_retraining/dagRuns?run_type=backfill")["dag_runs"]
    _is_light(running, running.path(run), SCHEDULED, "2")

    asked = running.trigger("manual_retraining", as_of=str(ASKED), night="light")
    assert running.wait(asked, 1800) == "success", running.states(asked)
    _is_light(running, asked, ASKED, "3")
    assert "version 3 @champion" in champion(running.checkout)

    again = running.trigger("manual_retraining", as_of=str(SCHEDULED), night="light")
    assert running.wait(again, 600) == "failed"  # the champion has learned that day
    assert running.tasks(again)["open"]["try_number"] == 1
    assert "it has learned the days until" in running.dag("GET", again)["note"]


def _is_light(running: Airflow, run: str, day: date, version: str) -> None:
    """That the run was a light night whose model serves and whose lists are delivered."""
    states = running.states(run)
    expected: dict[str, Any] = {stage: "skipped" if stage in FULL_ONLY else "success" for stage in STAGES}
    assert states == expected | dict.fromkeys(["open", "close", "promoted", "delivered"], "success")
    closed = running.told(run, "close")
    assert (closed["verdict"], closed["promoted"], closed["version"]) == ("PASS", True, version)
    assert f"retrain/{day}" in branches(running.checkout)
    lists = (running.checkout / ".triad" / "delivered" / "current").resolve()
    assert lists.name.startswith(f"{day}-v{version}-")
    assert (lists / "recommendations.parquet").is_file()
