"""Of several writers of one output at once one writes, the others are told who, and what stands there is whole."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from triad.artifacts import read_json, replacing, replacing_file, replacing_together, write_json
from triad.errors import TriadError
from triad.locking import held

ROUNDS, WRITERS = 15, 4
REFUSED = re.compile(r"TriadError out/a: process \d+ on .* is writing it\n.*run again")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at_once(work: Callable[[], None]) -> list[str]:
    """What each of several processes that do `work` at once says of it: "done", or its error."""
    pipes = []
    go, start = os.pipe()
    for _ in range(WRITERS):
        told, tell = os.pipe()
        if os.fork() == 0:
            os.close(start)
            os.read(go, 1)  # until all are there
            try:
                work()
                said = "done"
            except BaseException as error:
                said = f"{type(error).__name__} {error}"
            os.write(tell, said.encode())
            os._exit(0)
        os.close(tell)
        pipes.append(told)
    os.close(start)
    os.close(go)
    found = [os.read(pipe, 10_000).decode() for pipe in pipes]
    for pipe in pipes:
        os.close(pipe)
        os.wait()
    return found


def one() -> None:
    with replacing(Path("out/a")) as fresh:
        (fresh / "x").write_text("whole" * 1000)


def two() -> None:
    with replacing_together(Path("out/a"), Path("out/b")) as (a, b):
        (a / "x").write_text("whole" * 1000)
        (b / "x").write_text("whole" * 1000)


@pytest.mark.parametrize("work", [one, two])
def test_one_of_several_writers_writes_and_the_others_say_who_does(work: Callable[[], None]) -> None:
    refused = 0
    for _ in range(ROUNDS):
        said = at_once(work)
        assert "done" in said
        assert all(each == "done" or REFUSED.match(each) for each in said), said
        refused += len(said) - said.count("done")
        assert {path.name for path in Path("out").iterdir()} <= {"a", "b"}
        assert all(path.read_text() == "whole" * 1000 for path in Path("out").glob("*/x"))
    assert refused


def test_writers_that_wait_all_write() -> None:
    def work() -> None:
        with replacing(Path("out/a"), wait=True) as fresh:
            write_json(fresh / "number.json", read_json(Path("out/a/number.json")) + 1)
        write_json(Path("out/last.json"), "x" * 100_000)

    write_json(Path("out/a/number.json"), 0)
    for _ in range(ROUNDS):
        assert at_once(work) == ["done"] * WRITERS
    assert read_json(Path("out/a/number.json")) == ROUNDS * WRITERS
    assert read_json(Path("out/last.json")) == "x" * 100_000


def test_a_lock_is_refused_at_once_and_passes_and_may_be_taken_again_within() -> None:
    target = Path("artifacts/stage")
    ready = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pathlib import Path; from triad.locking import held\n"
            "with held(Path('artifacts/stage')): print('held', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ready.stdout is not None and ready.stdout.readline() == "held\n"
    with pytest.raises(TriadError) as raised, replacing(target):
        pass
    said = str(raised.value)
    assert raised.value.transient and f"process {ready.pid} on" in said and "import Path" in said and "since 20" in said
    ready.send_signal(signal.SIGKILL)
    ready.wait()
    with held(target), replacing(target) as fresh:  # a stage holds its own
        (fresh / "a").write_text("")
    assert [str(path) for path in Path("artifacts").iterdir()] == ["artifacts/stage"]


@pytest.mark.parametrize("said", ['{"pid": 5, "host', "[]", "{}", "\xff"])
def test_a_holder_that_could_not_say_who_it_is_is_another_process(said: str) -> None:
    Path(".out.lock").write_text(said, encoding="latin-1")
    with Path(".out.lock").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(TriadError, match="another process is writing it"), replacing(Path("out")):
            pass


def test_a_stage_called_while_another_process_runs_it_says_so(folder: Path) -> None:
    values = {
        "ingest": {"as_of": "2026-01-11", "window_days": 4, "simulated": {"size": "tiny"}},
        "features": {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 1},
        "tasks": {"click": {"kind": "binary", "label": "clicked"}},
        "recommend": {"order_by": "click"},
    }
    Path("params.yaml").write_text(yaml.safe_dump(values))
    failure = folder / "failure.json"
    with held(Path("artifacts/ingest")):
        done = subprocess.run(
            [sys.executable, "-m", "triad", "ingest"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TRIAD_FAILURE": str(failure)},
        )
    assert done.returncode == 1 and f"process {os.getpid()} on" in done.stderr and "Traceback" not in done.stderr
    assert json.loads(failure.read_text())["transient"]
    assert not Path("artifacts/ingest").exists()


def test_a_file_that_is_written_twice_at_once_is_whole() -> None:
    def work() -> None:
        with replacing_file(Path("x.json")) as fresh, fresh.open("w") as handle:
            handle.write("[" + "1," * 10_000)
            handle.flush()
            time.sleep(0.01)
            handle.write("1]")

    for _ in range(ROUNDS):
        assert at_once(work) == ["done"] * WRITERS
        assert len(json.loads(Path("x.json").read_text())) == 10_001
    assert [path.name for path in Path().iterdir()] == ["x.json"]
