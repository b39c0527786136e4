"""Several processes train one network: as one alone does, and on from the checkpoint where one is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from triad.errors import TriadError
from triad.models import across
from triad.training import workers
from triad.training.workers import Shares

SCRIPT = Path(__file__).with_name("train_together.py")
TOLERANCE = 2e-4
"""Of losses and weights. Sums are taken in another order, and Adam makes much of small differences near zero."""


def ports(count: int) -> list[str]:
    """Free addresses on this machine."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start(network: str, folder: Path, count: int) -> list[subprocess.Popen[bytes]]:
    """So many processes that train together; each writes `result-RANK.npz`."""
    folder.mkdir(exist_ok=True)
    processes, addresses = [], ports(count)
    for rank in range(count):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if count > 1:
            task = {"type": "worker", "index": rank}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        command = [sys.executable, str(SCRIPT), network, str(folder), str(folder / f"result-{rank}.npz")]
        with (folder / f"log-{rank}").open("ab") as out:
            processes.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
    return processes


def finish(processes: list[subprocess.Popen[bytes]], folder: Path) -> list[dict[str, np.ndarray]]:
    """What each of them ended with."""
    for rank, each in enumerate(processes):
        assert each.wait(timeout=300) == 0, (folder / f"log-{rank}").read_text()[-3000:]
    return [dict(np.load(folder / f"result-{rank}.npz")) for rank in range(len(processes))]


def alike(one: dict[str, np.ndarray], other: dict[str, np.ndarray], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.proof
@pytest.mark.parametrize("network", ["finetune", "pretrain", "touched"])
def test_two_processes_learn_as_one_does(network: str, tmp_path: Path) -> None:
    [alone] = finish(start(network, tmp_path / "one", 1), tmp_path / "one")
    first, second = finish(start(network, tmp_path / "two", 2), tmp_path / "two")
    alike(first, second, 0)
    alike(first, alone, TOLERANCE)


@pytest.mark.proof
def test_where_a_process_is_killed_all_end_and_go_on_from_the_checkpoint(tmp_path: Path) -> None:
    [undisturbed, _] = finish(start("pretrain", tmp_path / "whole", 2), tmp_path / "whole")
    folder = tmp_path / "killed"
    processes = start("pretrain", folder, 2)
    state = folder / "checkpoint" / "state.index"
    while not state.exists():
        assert all(each.poll() is None for each in processes), (folder / "log-0").read_text()[-3000:]
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGKILL)
    assert processes[0].wait(timeout=120) != 0, "the other one does not wait for ever"
    assert not (folder / "result-0.npz").exists(), "it was killed in mid-training"
    first, second = finish(start("pretrain", folder, 2), folder)
    alike(first, second, 0)
    alike(first, undisturbed, 0)


def test_shares_of_a_batch_by_hand() -> None:
    packed = [(np.array([place]), np.array([place, place])) for place in range(5)]
    both = [Shares(2, rank, 1).own(packed) for rank in range(2)]
    assert [[part[0].tolist() for part in own] for own in both] == [[[0], [2]], [[1], [3]]], "4 fills no step"
    [first, second] = Shares(2, 0, 2).own(packed)
    assert first[1].tolist() == [0, 0, 1, 1] and second[0].tolist() == [2, 3]
    assert Shares(4, 2, 2).of(100) == 50


def test_sums_over_workers_by_hand() -> None:
    assert across.total(3.0) == across.mean(3.0) == 3.0, "alone"
    with across.workers(2, lambda value: value + 10.0):
        assert float(across.total(ops.convert_to_tensor(3.0))) == 13 and float(across.mean(3.0)) == 6.5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "names no processes"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "names no processes"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 1}}', "3 shares of a batch cannot be dealt evenly"),
    ],
)
def test_processes_that_cannot_share_are_refused(config: str, said: str, monkeypatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(TriadError, match=said):
        workers.join(3)


def test_the_first_process_is_no_helper(monkeypatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(TriadError, match="this is the first process"):
        workers.check_helper()
