"""Airflow for tests: its home in a temporary folder, set before anything imports it; and a real one that runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from triad.config.params import merge

ROOT = Path(__file__).parents[1]

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="triad-airflow-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"

UNWANTED = ("AIRFLOW_HOME", "MLFLOW_TRACKING_URI", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


def dags(folder: Path = ROOT / "dags") -> dict[str, Any]:
    """The DAGs of a folder, as the dag-processor reads them; no database is there."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(folder))
    assert not bag.import_errors, bag.import_errors
    return bag.dags


def deploy(folder: Path, params: str) -> Path:
    """A clone of the present state, uncommitted changes too, with `params` committed over its params."""
    revision = git(ROOT, "stash", "create") or git(ROOT, "rev-parse", "HEAD")
    git(ROOT, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
    git(folder, "checkout", "--quiet", "-B", "deployed", revision)
    change(folder, yaml.safe_load(params), "The shop of the test")
    return folder


def change(checkout: Path, params: dict[str, Any], message: str) -> None:
    """Commit `params`, laid over the checkout's."""
    laid = merge(yaml.safe_load((checkout / "params.yaml").read_text()), params)
    (checkout / "params.yaml").write_text(yaml.safe_dump(laid, sort_keys=False))
    git(checkout, "commit", "--quiet", "--all", "--message", message)


def git(where: Path, *arguments: str) -> str:
    known = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", "-C", str(where), *known, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def champion(checkout: Path) -> str:
    """What `triad why` says of the version that serves."""
    done = subprocess.run(["triad", "why", "champion"], cwd=checkout, check=True, capture_output=True, text=True)
    return done.stdout


def branches(checkout: Path) -> set[str]:
    """Those of the nights."""
    return set(git(checkout, "for-each-ref", "--format=%(refname:short)", "refs/heads/retrain").split())


class Airflow:
    """A running Airflow, spoken to by its REST API."""

    def __init__(self, checkout: Path, address: str, password: str) -> None:
        self.checkout, self.address, self.token = checkout, address, ""
        self.token = self.call("POST", "/auth/token", {"username": "admin", "password": password})["access_token"]

    def get(self, path: str, token: str | None = None, body: Any = None, method: str = "GET") -> tuple[int, bytes]:
        """Status and content."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}" if token else ""}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        status, content = self.get(path, self.token, body, method)
        assert status < 300, (status, content)
        return json.loads(content or b"{}")

    def dag(self, method: str, path: str, body: Any = None) -> Any:
        return self.call(method, f"/api/v2/dags/{path}", body)

    def trigger(self, dag: str, **conf: Any) -> str:
        """Starts a run; returns its path below /api/v2/dags."""
        made = self.dag("POST", f"{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return self.path(made)

    def backfill(self, first: date, last: date) -> str:
        """Has the scheduler make the nights of those days, one after the other; returns the backfill's path."""
        asked = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T12:00:00Z", "max_active_runs": 1}
        more = {"dag_id": "nightly_retraining", "reprocess_behavior": "none", "run_backwards": False}
        until = time.monotonic() + 120
        while True:
            status, content = self.get("/api/v2/backfills", self.token, asked | more, "POST")
            if status < 300:
                return f"/api/v2/backfills/{json.loads(content)['id']}"
            # what Airflow answers on SQLite where the scheduler writes at the same moment
            assert status == 503 and b"Database is locked" in content and time.monotonic() < until, (status, content)
            time.sleep(1)

    @staticmethod
    def path(run: Any) -> str:
        return f"{run['dag_id']}/dagRuns/{quote(run['dag_run_id'], safe='')}"

    def wait(self, run: str, seconds: float = 600) -> str:
        """The state the run ends in. An api-server that says nothing for a minute is asked again."""
        until, state = time.monotonic() + seconds, ""
        while state not in ("success", "failed"):
            assert time.monotonic() < until, (run, state)
            time.sleep(1)
            with suppress(TimeoutError):
                state = str(self.dag("GET", run)["state"])
        return state

    def tasks(self, run: str) -> dict[str, Any]:
        found = self.dag("GET", f"{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, run: str) -> dict[str, str]:
        return {name: task["state"] for name, task in self.tasks(run).items()}

    def told(self, run: str, task: str, key: str = "return_value") -> Any:
        return self.dag("GET", f"{run}/taskInstances/{task}/xcomEntries/{key}?deserialize=true")["value"]

    def log(self, run: str, task: str, number: int = 1) -> str:
        return json.dumps(self.dag("GET", f"{run}/taskInstances/{task}/logs/{number}"), ensure_ascii=False)

    def clear(self, run: str, *tasks: str) -> None:
        """Have the tasks, and all after them, run again; without tasks those that failed."""
        dag, _, name = run.split("/")
        asked = {"dry_run": False, "dag_run_id": urllib.parse.unquote(name), "reset_dag_runs": True}
        which = {"task_ids": list(tasks), "include_downstream": True, "only_failed": False} if tasks else {}
        self.dag("POST", f"{dag}/clearTaskInstances", {**asked, "only_failed": True, **which})


@contextmanager
def airflow(checkout: Path, **environment: str) -> Iterator[Airflow]:
    """`triad airflow` in `checkout`, ended at the end with all its parts."""
    port, mlflow = _free(), _free()
    around = {k: v for k, v in os.environ.items() if k not in UNWANTED and not k.startswith("AIRFLOW__")}
    around |= {"TRIAD_AIRFLOW_PORT": str(port), "TRIAD_MLFLOW_PORT": str(mlflow), "TRIAD_RETRY_SECONDS": "1"}
    with (checkout / "airflow.log").open("wb") as log:
        process = subprocess.Popen(["triad", "airflow"], cwd=checkout, env=around | environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 900
        while "Airflow " not in (said := (checkout / "airflow.log").read_text()):
            assert process.poll() is None and time.monotonic() < until, said
            time.sleep(0.5)
        password = json.loads((checkout / ".airflow" / "passwords.json").read_text())["admin"]
        started = Airflow(checkout, f"http://127.0.0.1:{port}", password)
        while started.call("GET", "/api/v2/dags")["total_entries"] < len(list((checkout / "dags").glob("*.py"))):
            assert time.monotonic() < until, started.call("GET", "/api/v2/importErrors")
            time.sleep(0.5)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
