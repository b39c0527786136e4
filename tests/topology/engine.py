"""Starts services as processes, waits until they are healthy, starts again what dies, ends all. Knows no Triad.

What Docker does for a container is done here for a process group: order by `depends_on`, health checks, the restart
policy, TERM and then KILL. PostgreSQL refuses to run as root: where we are root, it runs as the user `postgres`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from topology.compose import Service

MARK = "TOPOLOGY_SERVICE"  # in the environment of all that a service starts
POSTGRES_PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))


class Engine:
    def __init__(self, services: Sequence[Service], logs: Path) -> None:
        self.services = {service.name: service for service in services}
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts: list[str] = []
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def up(self, seconds: float = 900) -> None:
        """Start every service once what it needs is there; return when all are healthy.

        Raises:
            RuntimeError: one ended, or was not healthy in `seconds`.
        """
        until = time.monotonic() + seconds
        if not self._watcher.is_alive():
            self._watcher.start()
        healthy: set[str] = set()
        while len(healthy) < len(self.services):
            for name, service in self.services.items():
                if name not in self.running and healthy.issuperset(service.needs):
                    self._start(service)
                if name in self.running and name not in healthy and self._is_healthy(service):
                    healthy.add(name)
                    print(f"  {name}: healthy", flush=True)
            if time.monotonic() > until:
                raise RuntimeError(f"not healthy: {sorted({*self.services} - healthy)}; what they said: {self.logs}")
            time.sleep(0.5)

    def add(self, services: Sequence[Service], seconds: float = 900) -> None:
        """Start these beside those that run: a profile that is switched on later. Raises as `up`."""
        self.services |= {service.name: service for service in services if service.name not in self.services}
        self.up(seconds)

    def kill(self, name: str) -> None:
        """KILL the service's first process, as a machine that runs out of memory would."""
        self.running[name].kill()

    def down(self) -> None:
        self._ending.set()
        for name in reversed(self.running):
            process = self.running[name]
            _signal_group(process, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                print(f"  {name}: does not end, killed", flush=True)
            self._end(name)

    def processes(self, name: str) -> list[psutil.Process]:
        """All that a service has started and that lives, its sessions and orphans included."""
        found, mark = [], f"{self.logs}:{name}"
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == mark:
                    found.append(process)
        return found

    def listening(self) -> list[tuple[str, str, int]]:
        """(service, address, port) of every socket on which one of our processes listens."""
        owner = {pid: name for name in self.running for pid in self._pids(name)}
        return sorted(
            {
                (owner[socket.pid], socket.laddr.ip, socket.laddr.port)
                for socket in psutil.net_connections(kind="inet")
                if socket.pid in owner and (socket.status == psutil.CONN_LISTEN or not socket.raddr)
            }
        )

    def memory(self) -> dict[str, int]:
        """Bytes of memory (proportional set size: what is shared is shared out) of each service's processes."""
        return {name: sum(map(_memory, self._pids(name))) for name in self.running}

    def _start(self, service: Service) -> None:
        for folder in service.folders:
            folder.mkdir(parents=True, exist_ok=True)
        prefix = _prepare_postgres(service) if service.name == "postgres" else []
        with (self.logs / f"{service.name}.log").open("ab") as log:
            self.running[service.name] = subprocess.Popen(
                [*prefix, *service.command],
                env=environment({**service.environment, MARK: f"{self.logs}:{service.name}"}),
                cwd=service.folders[0] if service.folders else self.logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_healthy(self, service: Service) -> bool:
        process = self.running[service.name]
        if service.healthcheck is None:  # a service that ends
            if process.poll():
                raise RuntimeError(f"{service.name} failed; its output is in {self.logs}")
            return process.poll() == 0
        try:
            check = subprocess.run(
                service.healthcheck, env=environment(service.environment), capture_output=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return check.returncode == 0

    def _pids(self, name: str) -> set[int]:
        # PostgreSQL's processes write their names over their environment
        return {*_tree(self.running[name].pid), *(process.pid for process in self.processes(name))}

    def _end(self, name: str) -> None:
        _signal_group(self.running[name], signal.SIGKILL)
        for process in self.processes(name):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _watch(self) -> None:
        while not self._ending.wait(1):
            for name, process in list(self.running.items()):
                if self.services[name].restarts and process.poll() is not None and not self._ending.is_set():
                    self._end(name)  # a container's processes end with its first
                    self.restarts.append(name)
                    self._start(self.services[name])


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a container would see: a path, a home, and what compose gives; nothing of ours."""
    path = [Path(sys.executable).parent, POSTGRES_PROGRAMS, "/usr/local/bin", "/usr/bin", "/bin"]
    return {"PATH": os.pathsep.join(map(str, path)), "HOME": str(Path.home()), "LANG": "C.UTF-8", **own}


def _prepare_postgres(service: Service) -> list[str]:
    """What the image's entry point does at the first start; returns what must stand before the command."""
    data = service.folders[0]
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    own = environment({**service.environment, "PGDATA": str(data)})
    # postgres reads where its data lies, as in the image
    service.environment["PGDATA"] = str(data)
    if (data / "PG_VERSION").exists():
        return prefix

    def run(*command: str, **more: str) -> None:
        subprocess.run([*prefix, *command], env={**own, **more}, check=True, stdout=subprocess.DEVNULL, cwd=data)

    first = 'initdb -U "$POSTGRES_USER" --auth-local=trust --auth-host=scram-sha-256 --pwfile=/dev/stdin'
    run("sh", "-c", f"printenv POSTGRES_PASSWORD | {first}")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"unix_socket_directories = '{data}'\n")
    run("pg_ctl", "start", "--wait", "--silent", "--options=-c listen_addresses=", f"--log={data / 'first.log'}")
    for script in sorted((Path(__file__).parents[2] / "docker" / "postgres").glob("*.sh")):
        run("sh", str(script), PGHOST=str(data))
    run("pg_ctl", "stop", "--wait", "--silent")
    return prefix


def _tree(pid: int) -> set[int]:
    with suppress(psutil.NoSuchProcess):
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    return {pid}


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
