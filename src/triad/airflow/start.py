"""`triad airflow`: starts and stops all parts of Airflow, and MLflow's pages, on this machine only.

SQLite and the local executor serve one machine. A shop's own installation has other parts: docker/.
"""

from __future__ import annotations

import configparser
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from triad.airflow import settings
from triad.errors import TriadError
from triad.paths import sqlalchemy_url, sqlite_url
from triad.retraining.graph import stages

HOST = "127.0.0.1"
USER = "admin"
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
PATIENCE = 600
"""Seconds until the parts must have answered; on a busy machine they need minutes. One that ends is noticed at once."""
GRACE = 20
"""Seconds a part has to end when asked."""


def run() -> None:
    """Start the parts, say where they are, and hold them until Ctrl-C or SIGTERM.

    Raises:
        TriadError: a part does not start.
    """
    home = Path(os.environ.get("AIRFLOW_HOME") or settings.checkout() / ".airflow").resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = {name: int(os.environ.get(key) or default) for name, key, default in PORTS}
    environment = {**os.environ, **configuration(home, ports)}
    password = login(home / "passwords.json")
    prepare(environment, home)
    signal.signal(signal.SIGTERM, _stop)
    parts = Parts(commands(ports), environment, home / "logs" / "parts", {"mlflow": asking(home, password)})
    try:
        # first what tasks report to: after a restart the scheduler starts waiting ones at once, and each would fail
        parts.start("api-server", "mlflow")
        _wait_until(parts, ports["airflow"], ())
        parts.start("scheduler", "dag-processor", "triggerer")
        _wait_until(parts, ports["airflow"], ("scheduler", "dag_processor", "triggerer"))
        _say(f"""
Airflow   http://{HOST}:{ports["airflow"]}   user {USER}   password {password}
MLflow    http://{HOST}:{ports["mlflow"]}   the same user and password
logs      {parts.logs}

`nightly_retraining` runs once it is switched on, `manual_retraining` when it is triggered. Ctrl-C ends all of it.""")
        parts.hold()
    except KeyboardInterrupt:
        pass
    finally:
        parts.end()


PORTS = (("airflow", "TRIAD_AIRFLOW_PORT", 8080), ("mlflow", "TRIAD_MLFLOW_PORT", 5000))


def configuration(home: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Airflow's settings; whatever the environment already says of other ones holds.

    Raises:
        TriadError: Airflow would look for the checkout elsewhere.
    """
    address = f"http://{HOST}:{ports['airflow']}"
    checkout = settings.checkout()
    if os.path.expandvars(checkout) != str(checkout):
        raise TriadError("Airflow takes a part of its path for a variable", where=str(checkout), mend="rename it")
    database = home / "airflow.db"
    quoted = sqlalchemy_url("sqlite", database)  # Airflow itself puts the path into the address as it is
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(checkout / "dags"),
        **({} if quoted == f"sqlite:///{database}" else {DATABASE: os.environ.get(DATABASE) or quoted}),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # each of them is a process of 135 MB that waits
        "AIRFLOW__CORE__PARALLELISM": os.environ.get("AIRFLOW__CORE__PARALLELISM", "4"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports["airflow"]),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "TRIAD_CHECKOUT": str(checkout),
        "TRIAD_MLFLOW_ADDRESS": f"http://{HOST}:{ports['mlflow']}",
        # its job runner starts eight more processes, for work that nobody here asks for
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def commands(ports: Mapping[str, int]) -> dict[str, list[str]]:
    """Part → its command. The log servers, which would listen on every address, are left out."""
    airflow = [sys.executable, "-m", "airflow"]
    checkout = settings.checkout()
    store = os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(checkout / "mlflow.db")
    mlflow = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(ports["mlflow"])]
    return {
        "api-server": [*airflow, "api-server"],
        "scheduler": [*airflow, "scheduler", "--skip-serve-logs"],
        "dag-processor": [*airflow, "dag-processor"],
        "triggerer": [*airflow, "triggerer", "--skip-serve-logs"],
        "mlflow": [*mlflow, "--app-name", "basic-auth", "--backend-store-uri", store, "--workers", "1"],
    }


def asking(home: Path, password: str) -> dict[str, str]:
    """What lets MLflow's pages ask who is there: who can write to the registry decides which model serves.

    Its list of users is made anew at each start, so that the password is always the one that is printed.
    """
    users, file = home / "mlflow_users.db", home / "mlflow_auth.ini"
    users.unlink(missing_ok=True)
    said = configparser.ConfigParser(interpolation=None)
    # its reader takes % for a sign of its own
    address = sqlite_url(users).replace("%", "%%")
    said["mlflow"] = {"default_permission": "NO_PERMISSIONS", "database_uri": address}
    with file.open("w", encoding="utf-8") as handle:
        said.write(handle)
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(file),
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
    }


def login(file: Path) -> str:
    """The password, made at the first start and readable by its owner alone."""
    if not file.is_file():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            json.dump({USER: secrets.token_urlsafe(12)}, handle)
    password: str = json.loads(file.read_text())[USER]
    return password


def prepare(environment: Mapping[str, str], home: Path) -> None:
    """Bring both databases to these versions, and make the pools that stages ask for."""
    airflow = [sys.executable, "-m", "airflow"]

    def call(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=settings.checkout(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise TriadError(said, where=" ".join(command[1:]), mend=f"mend it, or start afresh without {home}")
        return done.stdout

    call(*airflow, "db", "migrate")
    # two processes that make a fresh store at once would break it
    call(sys.executable, "-c", "from triad.tracking.store import client; client()")
    if pools := {stage.meta["pool"] for stage in stages(settings.checkout()) if "pool" in stage.meta}:
        for pool in sorted(pools - set(call(*airflow, "pools", "list", "-o", "plain").split())):
            call(*airflow, "pools", "set", pool, "1", "One at a time: stages of dvc.yaml ask for it")


class Parts:
    """The processes, each the leader of its own group, each with a log."""

    def __init__(
        self,
        commands: Mapping[str, list[str]],
        environment: Mapping[str, str],
        logs: Path,
        own: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.commands, self.environment, self.logs = commands, environment, logs
        self.own = own  # part → what it alone finds in its environment
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, *names: str) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in names:
            self._start(name)

    def hold(self) -> None:
        """Start a part again that ended by itself, for ever."""
        while True:
            time.sleep(1)
            for name, process in self.running.items():
                if process.poll() is not None:
                    _say(f"{name} ended with {process.returncode}; starting it again. Its log: {self.logs / name}.log")
                    time.sleep(5)
                    self._start(name)

    def end(self) -> None:
        """End all parts, and what they started: first by asking."""
        for how, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 5)):
            for process in self.running.values():
                _signal(process, how)
            until = time.monotonic() + grace
            while any(_lives(p) for p in self.running.values()) and time.monotonic() < until:
                time.sleep(0.2)

    def _start(self, name: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.commands[name],
                env={**self.environment, **self.own.get(name, {})},
                cwd=settings.checkout(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _wait_until(parts: Parts, port: int, healthy: Sequence[str]) -> None:
    """Until the api-server answers, and says that those parts are healthy."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for name, process in parts.running.items():
            if process.poll() is not None:
                tail = (parts.logs / f"{name}.log").read_text(errors="replace")[-1500:]
                raise TriadError(f"ended with {process.returncode}:\n{tail}", where=name, mend="is its port taken?")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/v2/monitor/health", timeout=5) as answer:
                health = json.load(answer)
            if all(health[part]["status"] == "healthy" for part in healthy):
                return
        except (urllib.error.URLError, OSError, ValueError):
            pass
        time.sleep(0.5)
    raise TriadError(f"not healthy after {PATIENCE} s", where="airflow", mend=f"look into {parts.logs}")


def _signal(process: subprocess.Popen, how: signal.Signals) -> None:
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        return


def _lives(process: subprocess.Popen) -> bool:
    """Whether the part, or anything of its group, is still there."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
