"""Seven nights in a row by Airflow's own scheduler, of a shop whose exports arrive day by day.

The scheduler makes the runs of a backfill, one after the other. The backfill is paused while a night runs, so that
there is a day between two nights, in which an export arrives and people commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from make_airflow import Airflow, airflow, branches, champion, change, deploy, git

from triad.cli import STAGES
from triad.config.ingest import IngestParams
from triad.schema import REQUIRED, TABLES
from triad.sources.simulated import simulate

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
WEEK = [date(2026, 3, 1) + n * DAY for n in range(7)]
CORRUPT, KILLED, WORSE = WEEK[2:5]
WINDOW = 56
TASKS = ["open", *STAGES, "close", "promoted", "delivered"]


class Exports:
    """A shop's exports: a file of events a day, and its customers and products."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        days = WINDOW + len(WEEK) - 1
        shop = simulate(IngestParams(as_of=WEEK[-1], window_days=days, simulated={"size": "tiny"}))
        self.days = {WEEK[-1] - (days - n) * DAY: day.events for n, day in enumerate(shop.days())}
        (folder / "events").mkdir(parents=True)
        for name in ("users", "items"):
            pq.write_table(shop.tables[name], folder / f"{name}.parquet")

    def arrive(self, day: date, *, broken: bool = False) -> None:
        """A day's events. Where `broken`, the last digit of every product's number was lost on the way."""
        events = self.days[day]
        if broken:
            cut = pc.utf8_slice_codeunits(events["item_id"], 0, -1)
            events = events.set_column(events.schema.get_field_index("item_id"), "item_id", pa.chunked_array(cut))
        pq.write_table(events, self.folder / "events" / f"{day}.parquet")

    @staticmethod
    def params() -> dict[str, Any]:
        """How they are read; and learning so little that a night takes a minute."""
        columns = {table: {c.name: c.name for c in TABLES[table].columns} for table in REQUIRED}
        columns["users"] |= {"country": "country", "device": "device"}
        del columns["items"]["image_path"]
        for table in ("items", "events"):
            columns[table]["price_cents"] = {"column": "price_cents", "unit": "minor"}
        places = {"users": "users", "items": "items", "events": "events/*"}
        files = {t: {"path": f"${{SHOP_EXPORTS}}/{places[t]}.parquet", "columns": columns[t]} for t in REQUIRED}
        return {
            "ingest": {"source": "files", "window_days": WINDOW, "files": files},
            "pretrain": {"max_epochs": 2},
            "finetune": {"max_epochs": 2, "checkpoint_steps": 5},
            "fuse": {"bootstrap": 50},
            "evaluate": {"bootstrap": 100},
            "tasks": {
                "click": {"kind": "binary", "label": "clicked"},
                "conversion": {"kind": "binary", "label": "purchased", "given": "click"},
                "next": {"kind": "ranking", "label": "next_item"},
            },
        }


@dataclass(frozen=True)
class Week:
    """What the seven nights left: each one's run, and who was champion after it."""

    running: Airflow
    runs: dict[date, str]
    champions: dict[date, str]
    before_the_kill: dict[str, Any]

    def closed(self, day: date) -> dict[str, Any]:
        return self.running.told(self.runs[day], "close")

    def note(self, day: date) -> str:
        return self.running.dag("GET", self.runs[day])["note"]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    root = tmp_path_factory.mktemp("week")
    exports = Exports(root / "exports")
    for day in exports.days:
        if day < WEEK[0] - DAY:
            exports.arrive(day)
    checkout = deploy(root / "shop", yaml.safe_dump(exports.params()))
    subprocess.run(["dvc", "remote", "add", "--default", "store", str(root / "remote")], cwd=checkout, check=True)
    git(checkout, "commit", "--quiet", "--all", "--message", "A remote for the nights")
    # a cron that last fired in that week: one that fired since would make up for its last night beside the backfill
    with airflow(checkout, SHOP_EXPORTS=str(exports.folder), TRIAD_NIGHTLY_CRON="0 2 1-7 3 *") as running:
        running.dag("PATCH", "nightly_retraining", {"is_paused": False})
        found, backfill = Week(running, {}, {}, {}), ""
        for day in WEEK:
            exports.arrive(day - DAY, broken=day == CORRUPT)
            if day - DAY == CORRUPT:
                exports.arrive(CORRUPT - DAY)  # the shop sent it again
            if day == WORSE:
                change(checkout, {"fuse": {"members": ["popularity"]}}, "Bestsellers will do")
            if day - DAY == WORSE:
                git(checkout, "revert", "--no-edit", "HEAD")
            if backfill:
                running.call("PUT", f"{backfill}/unpause")
            else:
                backfill = running.backfill(WEEK[0], WEEK[-1])
            run = found.runs[day] = scheduled(running, day)
            running.call("PUT", f"{backfill}/pause")
            if day == KILLED:
                found.before_the_kill.update(kill(running, run, "finetune"))
            print(f"{day}: {running.wait(run, 3600)}. {running.dag('GET', run)['note']}")
            found.champions[day] = champion(checkout)
        yield found


def scheduled(running: Airflow, day: date) -> str:
    """The run of `day`, once the scheduler has started it."""
    until = time.monotonic() + 120
    while True:
        for run in running.dag("GET", "nightly_retraining/dagRuns?run_type=backfill")["dag_runs"]:
            if run["logical_date"].startswith(str(day)) and run["state"] != "queued":
                return running.path(run)
        assert time.monotonic() < until, day
        time.sleep(0.5)


def kill(running: Airflow, run: str, stage: str) -> dict[str, Any]:
    """SIGKILL to the task `stage`, once its training has a checkpoint; gives the tasks as they were before.

    To Airflow's process and all below it: the stage, left alone, may finish before the next attempt ends it.
    """
    until = time.monotonic() + 600
    while running.states(run)["open"] != "success":
        assert time.monotonic() < until
        time.sleep(1)
    workspace = running.told(run, "open")["workspace"]
    for look in count():  # so little is learned that a checkpoint lies there for a second or two
        if list(Path(workspace).glob(f".triad/checkpoints/{stage}-*/state.index")):
            break
        if look % 250 == 0:
            assert time.monotonic() < until and running.states(run)[stage] != "success", running.states(run)
        time.sleep(0.02)
    command = ["retraining", "stage", stage, "--workspace", workspace]
    (started,) = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-5:] == command]
    tasks = running.tasks(run)
    task = started.parent()
    for process in [task, *task.children(recursive=True)]:
        process.kill()
    return tasks


def test_the_scheduler_made_every_night(week: Week) -> None:
    made = [week.running.dag("GET", run) for run in week.runs.values()]
    assert [run["run_type"] for run in made] == ["backfill"] * len(WEEK)
    assert [run["state"] == "success" for run in made] == [day != CORRUPT for day in WEEK]
    ends = [run["end_date"] for run in made]
    assert all(before <= run["start_date"] for before, run in zip(ends, made[1:], strict=False))
    assert branches(week.running.checkout) == {f"retrain/{day}" for day in WEEK if day != CORRUPT}


def test_the_first_night_gives_a_champion(week: Week) -> None:
    closed = week.closed(WEEK[0])
    assert (closed["verdict"], closed["promoted"]) == ("PASS", True)


def test_corrupt_data_stop_at_validate_and_the_champion_stays(week: Week) -> None:
    states = week.running.states(week.runs[CORRUPT])
    at = TASKS.index("validate")
    assert {task: states[task] for task in TASKS[:at]} == dict.fromkeys(TASKS[:at], "success")
    assert states["validate"] == "failed"
    assert {states[task] for task in TASKS[at + 2 :]} == {"upstream_failed"}  # but for `champion`, which reads none
    assert "every item_id stands in table items" in week.note(CORRUPT)
    assert week.champions[CORRUPT] == week.champions[CORRUPT - DAY]


def test_a_killed_task_is_continued_not_repeated(week: Week) -> None:
    run = week.runs[KILLED]
    tasks, before = week.running.tasks(run), week.before_the_kill
    assert {name: task["state"] for name, task in tasks.items() if name not in ("promoted", "delivered")} == (
        dict.fromkeys(["open", *STAGES, "close"], "success")
    )
    assert before["finetune"]["state"] == "running" and tasks["finetune"]["try_number"] == 2
    done = [name for name, task in before.items() if task["state"] == "success"]
    assert {"open", "ingest", "validate", "features", "pretrain"} <= set(done)
    assert all(tasks[name]["start_date"] == before[name]["start_date"] for name in done)
    assert re.search(r"finetune goes on from its checkpoint: epoch \d+, step \d+", week.running.log(run, "finetune", 2))


def test_a_worse_model_is_not_promoted_and_the_night_says_why(week: Week) -> None:
    states = week.running.states(week.runs[WORSE])
    assert (states["close"], states["promoted"]) == ("success", "skipped")
    closed = week.closed(WORSE)
    assert (closed["verdict"], closed["promoted"]) == ("FAIL", False)
    assert "worse by more than" in week.note(WORSE)
    assert week.champions[WORSE] == week.champions[WORSE - DAY]


def test_every_closed_night_comes_back_from_the_remote(week: Week, tmp_path: Path) -> None:
    checkout = week.running.checkout
    (checkout / ".dvc" / "cache").rename(tmp_path / "hidden")
    try:
        clone, tables = tmp_path / "clone", set()
        git(tmp_path, "clone", "--quiet", str(checkout), str(clone))
        for branch in sorted(branches(checkout)):
            git(clone, "checkout", "--quiet", branch)
            around = os.environ | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
            subprocess.run(["dvc", "pull", "--quiet"], cwd=clone, check=True, env=around)
            lock = yaml.safe_load(git(checkout, "show", f"{branch}:dvc.lock"))["stages"]
            assert set(lock) == set(STAGES)
            outs = [out for stage in lock.values() for out in stage["outs"]]
            assert {out["path"]: digest(clone / out["path"]) for out in outs} == {o["path"]: o["md5"] for o in outs}
            tables |= {out["md5"] for out in lock["ingest"]["outs"] if out["path"].endswith("tables")}
        assert len(tables) == len(WEEK) - 1  # every night had data of its own
    finally:
        (tmp_path / "hidden").rename(checkout / ".dvc" / "cache")


def digest(path: Path) -> str:
    """The hash by which dvc.lock knows a file, or a folder: that of the list of its files with theirs."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listed = [{"md5": digest(file), "relpath": name} for name, file in files]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"
