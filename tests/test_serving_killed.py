"""`kill -9` of the service under load: it is back, and each list that was answered lies in the log once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from make_night import inside, make_night

from triad.serving.impressions import rows
from triad.sources.shown import read

pytestmark = pytest.mark.proof
BACK = 120
"""Seconds that are waited for it, on any machine; docs/results/serving.md has how long it takes."""


def _ask(port: int, user: str, request: str) -> int:
    """How many items were answered.

    Raises:
        OSError: nobody answered.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BACK)
    body = {"user_id": user, "k": 5, "surface": "home", "request_id": request}
    try:
        connection.request("POST", "/recommend", json.dumps(body), {"Content-Type": "application/json"})
        said = connection.getresponse()
        return len(json.loads(said.read())["items"])
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _patiently(port: int, user: str, request: str) -> int:
    until = time.monotonic() + BACK
    while True:
        try:
            return _ask(port, user, request)
        except OSError:
            assert time.monotonic() < until, "it is not back"
            time.sleep(0.1)


@contextmanager
def _serving(root: Path, workers: int, port: int) -> Iterator[psutil.Process]:
    places = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    more = {"TRIAD_TEST_NIGHT": str(root), "TRIAD_TEST_PORT": str(port), "TRIAD_TEST_WORKERS": str(workers)}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve_night"], env={**os.environ, **more, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(BACK)


def _workers(service: psutil.Process) -> list[psutil.Process]:
    alive = [each for each in service.children() if each.status() != psutil.STATUS_ZOMBIE]
    return [each for each in alive if "spawn_main" in " ".join(each.cmdline())]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_back_and_the_log_holds_each_list_once(workers: int, tmp_path: Path) -> None:
    root = make_night(tmp_path / "night")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown: dict[tuple[str, str], int] = {}

    def load(part: int) -> None:
        for n in range(60):
            user, request = f"u{(7 * n + part) % 60:04d}", f"{part}-{n}"
            shown[user, request] = _patiently(port, user, request)

    with _serving(root, workers, port) as service:
        _patiently(port, "u0001", "first")
        threads = [threading.Thread(target=load, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        (victim, *_) = _workers(service)
        os.kill(victim.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(BACK)
        until = time.monotonic() + BACK
        while len(_workers(service)) < workers and time.monotonic() < until:
            time.sleep(0.1)
        assert len(_workers(service)) == workers and victim.pid not in {each.pid for each in _workers(service)}
    assert len(shown) == 240
    made = {"price_cents": None, "version": "", "arm": "", "propensity": 1.0, "item_id": ""}
    sent = [
        row["event_id"]
        for (user, request), count in shown.items()
        for row in rows(user, request, "home", None, [{**made, "rank": rank + 1} for rank in range(count)])
    ]
    found = read(root / "shown")["event_id"].to_pylist()
    assert len(found) == len(set(found)) and set(sent) <= set(found)


def test_a_worker_ends_with_its_supervisor_and_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    with inside(tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "triad", "serve", "--port", "0"],
            capture_output=True,
            text=True,
            timeout=2 * BACK,
            check=False,
        )
    assert done.returncode == 1 and "error ·" in done.stderr and "Traceback" not in done.stderr
    root = make_night(tmp_path / "night")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _serving(root, 1, port) as service:
        _patiently(port, "u0001", "first")
        (worker,) = _workers(service)
        service.kill()
        worker.wait(BACK)
