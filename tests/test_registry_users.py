"""Whoever can write to the registry decides which model serves: MLflow answers those alone who say who they are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from topology.compose import services

from triad.airflow import start

API = "/api/2.0/mlflow/"
WRITES = {
    "registered-models/create": {"name": "theirs"},
    "model-versions/create": {"name": "triad", "source": "mlflow-artifacts:/theirs"},
    "registered-models/alias": {"name": "triad", "alias": "champion", "version": "1"},
    "experiments/create": {"name": "theirs"},
    "users/create": {"username": "me", "password": "0123456789abcdef"},
}
READS = (
    "mlflow/registered-models/search",
    "mlflow/experiments/search?max_results=1",
    "mlflow-artifacts/artifacts?path=",
)
PASSWORD = "of-these-tests-alone"


def of_compose(folder: Path) -> tuple[list[str], dict[str, str]]:
    drawn = dict.fromkeys(required(), "x" * 40) | {"MLFLOW_PASSWORD": PASSWORD}
    (mlflow,) = (service for service in services(drawn, folder) if service.name == "mlflow")
    store = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    # where it listens is this test's own
    there = ("--host", "--port", "--artifacts-destination", "--workers", "--allowed-hosts")
    words = [word for word in mlflow.command[1:] if not word.startswith(there)]
    return [sys.executable, "-m", "mlflow", *words], {**mlflow.environment, **store}


def of_make_airflow(folder: Path) -> tuple[list[str], dict[str, str]]:
    own = start.asking(folder, PASSWORD)
    command = start.commands({"airflow": 1, "mlflow": 2})["mlflow"]
    at = command.index("--backend-store-uri")
    words = [word for place, word in enumerate(command) if place not in range(at, at + 2)]
    for named in ("--host", "--port", "--workers"):
        at = words.index(named)
        del words[at : at + 2]
    store = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    return words, {**own, **store, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def required() -> list[str]:
    from topology.compose import COMPOSE

    return [part.partition(":?")[0] for part in COMPOSE.read_text().split("${") if ":?" in part.partition("}")[0]]


@pytest.fixture(
    scope="module", params=[(of_compose, "triad"), (of_make_airflow, start.USER)], ids=["compose", "make airflow"]
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    make, user = request.param
    folder = tmp_path_factory.mktemp("100% users")
    command, own = make(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command += [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--artifacts-destination",
        str(folder / "a"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **own}, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()[-3000:]
            try:
                if requests.get(f"{address}/health", timeout=5).ok:
                    break
            except requests.RequestException:
                time.sleep(0.3)
        yield address, user
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.mark.parametrize("who", [None, ("triad", "wrong"), ("admin", "password1234"), ("", "")])
def test_nobody_else_reads_or_writes(server: tuple[str, str], who: tuple[str, str] | None) -> None:
    address, _ = server
    for path, body in WRITES.items():
        assert requests.post(address + API + path, json=body, auth=who, timeout=60).status_code == 401, path
    for path in READS:
        assert requests.get(f"{address}/api/2.0/{path}", auth=who, timeout=60).status_code == 401, path
        assert requests.get(f"{address}/ajax-api/2.0/{path}", auth=who, timeout=60).status_code == 401, path


def test_a_nights_client_writes_and_reads(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    address, user = server
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    client = MlflowClient(address)
    run = client.create_run(client.create_experiment("nights"))
    (tmp_path / "file.txt").write_text("of a night")
    client.log_artifact(run.info.run_id, str(tmp_path / "file.txt"))
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["file.txt"]
    client.create_registered_model("triad")
    client.create_model_version("triad", run.info.artifact_uri, run.info.run_id)
    client.set_registered_model_alias("triad", "champion", "1")
    assert client.get_model_version_by_alias("triad", "champion").run_id == run.info.run_id
