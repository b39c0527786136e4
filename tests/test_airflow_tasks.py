"""A task: how its process ends is what Airflow does; what it says; the pages its links open; who is told."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import make_airflow  # noqa: F401 - before anything of Airflow
import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
)

from triad.airflow import links, notify, operators, plugin
from triad.errors import TriadError

SAID = {"stage": "fuse", "changed": True, "seconds": 1.5}
ERROR = {"error": {"what": "no rows", "where": "events", "mend": "look at the source"}}


class Told:
    """A task instance that remembers what is pushed."""

    dag_id, run_id, task_id = "nightly_retraining", "night", "promoted"

    def __init__(self, closed: dict[str, Any] | None = None) -> None:
        self.pushed: dict[str, Any] = {}
        self.closed = closed

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.closed if key == "return_value" else self.pushed.get(key)


def ending(monkeypatch: pytest.MonkeyPatch, code: int, said: dict[str, Any]) -> operators.Triad:
    task = operators.Triad(task_id="fuse", arguments=lambda _: ["retraining", "stage", "fuse"])
    monkeypatch.setattr(task, "run_module", lambda *_: (code, json.dumps(said)))
    return task


def context(closed: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"ti": Told(closed), "run_id": "night", "outlet_events": {}, "params": {}}


def run(task: Any, given: dict[str, Any]) -> Any:
    return type(task).execute.__wrapped__(task, given)  # beneath Airflow's check that a worker calls it


def test_a_task_tells_names_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(ending(monkeypatch, 0, SAID), context()) == SAID


def test_only_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowFailException, match=r"events: no rows\n.*look at the source"):
        run(ending(monkeypatch, 3, ERROR), context())
    for code in (1, -9, 143):
        with pytest.raises(AirflowException, match=rf"ended with {code}") as caught:
            run(ending(monkeypatch, code, {}), context())
        assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("task", "closed", "why"),
    [
        (
            "promoted",
            {"promoted": False, "verdict": "FAIL", "reasons": ["click: worse"]},
            "FAIL: .*stays. click: worse",
        ),
        ("delivered", {"delivered": None, "delivery": "the lists delivered are newer"}, "newer"),
    ],
)
def test_a_night_without_promotion_ends_well_and_says_why(task: str, closed: dict[str, Any], why: str) -> None:
    given = context(closed)
    with pytest.raises(AirflowSkipException, match=why):
        run(operators.OnlyIf(task_id=task), given)
    assert given["ti"].pushed["why"]


@pytest.mark.parametrize("night", ["full", "light"])
def test_a_light_night_skips_what_only_full_ones_need(night: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = operators.OpenWorkspace(task_id="open", arguments=lambda _: [], full=["pretrain", "fuse"])
    said = {"workspace": "w", "night": night}
    monkeypatch.setattr(task, "run_module", lambda *_: (0, json.dumps(said)))
    given = context()
    if night == "full":
        assert run(task, given) == said
        return
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run(task, given)
    assert list(skipped.value.tasks) == ["pretrain", "fuse"]
    assert given["ti"].pushed["return_value"] == said, "later tasks find the workspace"


CHILD = """
import subprocess, sys, time, pathlib
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(grandchild.pid))
time.sleep(60)
"""


def test_a_task_that_is_ended_takes_its_processes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    pid = tmp_path / "pid"
    monkeypatch.setattr(operators, "context_to_airflow_vars", lambda *_, **__: {})
    task = operators.Triad(task_id="fuse", arguments=lambda _: [])
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(task.run_module(["child", str(pid)], tmp_path, {})[0]))
    thread.start()
    until = time.monotonic() + 60
    while not (pid.is_file() and pid.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    task.on_kill()
    thread.join(20)
    assert ended == [-15]
    until = time.monotonic() + 20
    while _lives(int(pid.read_text())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _lives(int(pid.read_text()))


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIAD_WORKSPACES", str(tmp_path))
    monkeypatch.setenv("TRIAD_MLFLOW_ADDRESS", "http://mlflow:5000/")
    folder = tmp_path / "night 1"
    for place in ("evaluate/report/report.html", "validate/report/data_docs/index.html"):
        page = folder / "artifacts" / place
        page.parent.mkdir(parents=True)
        page.write_text(place)
    (folder / "artifacts/evaluate/report/scores.parquet").write_text("people")
    (tmp_path / "secret.html").write_text("secret")
    return folder


def test_links_lead_to_what_is_there(workspace: Path) -> None:
    found = links.links(workspace, {"run_id": "abc"})
    assert found["report"].endswith("/triad/night%201/report/report.html")
    assert found["data_docs"].endswith("/triad/night%201/data_docs/index.html")
    assert found["mlflow"] == "http://mlflow:5000/#/runs/abc"
    failed = workspace / "artifacts/validate/failed/data_docs/index.html"
    failed.parent.mkdir(parents=True)
    failed.write_text("failed")
    assert plugin.find("night 1", "data_docs", "index.html") == failed
    assert links.links(workspace.parent / "other", {}) == {}


@pytest.mark.parametrize(
    ("run", "name", "path"),
    [
        ("night 1", "report", "scores.parquet"),
        ("night 1", "report", "../../../../secret.html"),
        ("night 1", "data_docs", "/etc/hostname"),
        ("night 1", "other", "report.html"),
        ("..", "report", "report.html"),
    ],
)
def test_only_the_pages_are_served(workspace: Path, run: str, name: str, path: str) -> None:
    assert plugin.find("night 1", "report", "report.html") is not None
    assert plugin.find(run, name, path) is None


def test_a_link_out_of_the_workspaces_is_not_followed(workspace: Path) -> None:
    (workspace.parent / "elsewhere").symlink_to("/")
    (workspace / "artifacts/evaluate/report/out.html").symlink_to(workspace.parent / "secret.html")
    assert plugin.find("night 1", "report", "out.html") is None


class Remembers:
    said: tuple[Any, ...] = ()

    def __init__(self, room: str) -> None:
        self.room = room

    def __call__(self, given: dict[str, Any]) -> None:
        Remembers.said = (self.room, given["message"])


def test_the_notifier_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("TRIAD_NOTIFIER", f"{__name__}.Remembers")
    monkeypatch.setenv("TRIAD_NOTIFIER_ARGUMENTS", '{"room": "nights"}')
    notify.failed({**context(), "exception": "events: no rows"})
    room, message = sys.modules[__name__].Remembers.said
    assert (room, message) == ("nights", "nightly_retraining night promoted failed: events: no rows")
    monkeypatch.setenv("TRIAD_NOTIFIER_ARGUMENTS", '{"rom": "nights"}')
    with pytest.raises(TriadError, match="TRIAD_NOTIFIER"):
        notify.notifier()


def test_without_a_notifier_the_log_tells(caplog: pytest.LogCaptureFixture) -> None:
    assert "TRIAD_NOTIFIER" not in os.environ
    notify.late({"dag_run": {"dag_run_id": "scheduled__1"}})
    assert "scheduled__1 is late" in caplog.text
