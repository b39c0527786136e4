"""Whatever fails, and whenever the power goes: what stood there or what was to come stands there, whole."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from faults import Power, Strike, killed, lay, told

from triad.artifacts import recover, replacing, replacing_file, replacing_together, write_json
from triad.day_store import DayStore
from triad.durable import sync_tree
from triad.errors import TriadError
from triad.privacy import shown_log
from triad.retraining import delivery, pruning
from triad.vector_store import WIDTH, VectorStore


@dataclass(frozen=True)
class Case:
    """`work` brings the second state about from what the first left in a folder; `read` tells which is there."""

    work: Callable[[Path, str], None]
    read: Callable[[Path], object]


def one(root: Path, text: str) -> None:
    with replacing(root / "stage") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a").write_text(text)
        write_json(folder / f"{text}.json", text)


def together(root: Path, text: str) -> None:
    with replacing_together(root / "b", root / "a", files=[root / "m.json"]) as (b, a, numbers):
        (a / "x").write_text(text)
        (b / "x").write_text(text)
        write_json(numbers, text)


def file(root: Path, text: str) -> None:
    write_json(root / "x" / "a.json", text)


def contents(root: Path) -> dict[str, str]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_text() for path in found if "/." not in f"/{path.relative_to(root)}"}


def deliver(root: Path, text: str) -> None:
    lists = root.parent / "lists" / text  # made before anything fails
    if not lists.exists():
        lists.mkdir(parents=True)
        as_of = {"old": "2026-03-01", "new": "2026-03-02"}[text]
        (lists / "summary.json").write_text(json.dumps({"model_version": "3", "as_of": as_of}))
        (lists / "recommendations.parquet").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIAD_DELIVERY", str(root / "shop"))
        delivery.hand_over(lists, root, "3")


def delivered(root: Path) -> dict[str, str]:
    current = root / "shop" / "current"
    assert delivery.is_whole(current.resolve())
    return contents(current.resolve())


def prune(root: Path, text: str) -> None:
    """Of two deliveries the former goes."""
    if text == "new":
        pruning._deliveries(root / "shop", keep_days=-1)
        return
    for each in ("old", "new"):
        deliver(root, each)


def kept(root: Path) -> list[str]:
    """What can be taken for a delivery."""
    assert delivered(root)["recommendations.parquet"] == "new"
    found = list((root / "shop").glob("2026*"))
    assert all(delivery.is_whole(folder) for folder in found)
    return sorted(folder.name for folder in found)


def log_without(root: Path, text: str) -> None:
    """One of two persons is forgotten."""
    root.mkdir(exist_ok=True)
    file = root / "2026-01-01-1-1-aaaaaaaa.jsonl"
    if text == "old":
        file.write_text('{"user_id": "a"}\n{"user_id": "b"}\n')
        sync_tree(root)
    elif file.exists():
        shown_log.without(root, "a".__eq__)


def logged(root: Path) -> int:
    return shown_log.count(root, lambda user: user in "ab")


def days(root: Path, text: str) -> None:
    """A part is read anew, under the same key."""
    store = DayStore("key", None, root / "days")
    store.put("events", text, pa.table({"text": [text]}), left_out=0, types=[])
    store.close(["events"])


def part(root: Path) -> tuple[str, object]:
    store = DayStore("key", None, root / "days")
    entry = store.former("events")
    assert entry is not None
    rows = store.rows(entry)
    assert rows is not None
    return entry.version, rows["text"].to_pylist()


def vectors(root: Path, text: str) -> None:
    keys = {"old": [b"0" * WIDTH], "new": [b"0" * WIDTH, b"1" * WIDTH]}[text]
    VectorStore(root / "v").add(keys, np.ones((len(keys), 2)))


def known(root: Path) -> int:
    return len(VectorStore(root / "v").known)


CASES = {
    "a log without a person": Case(log_without, logged),
    "days": Case(days, part),
    "vectors": Case(vectors, known),
    "one": Case(one, contents),
    "together": Case(together, contents),
    "file": Case(file, contents),
    "deliver": Case(deliver, delivered),
    "prune": Case(prune, kept),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def states(case: Case, tmp_path: Path) -> tuple[object, object]:
    """What `read` tells of the first and of the second state."""
    found = []
    for text in ("old", "new"):
        case.work(tmp_path / "told", text)
        found.append(case.read(tmp_path / "told"))
    return found[0], found[1]


def check(case: Case, root: Path, states: tuple[object, object]) -> None:
    """What is there is whole, and doing it again ends right."""
    recover(root)
    assert case.read(root) in states
    case.work(root, "new")
    assert case.read(root) == states[1]
    assert not [path for path in root.rglob(".*") if path.suffix != ".lock"]  # which is free, if its holder is gone


def test_a_disk_that_fails_once_costs_nothing(case: Case, tmp_path: Path, states: tuple[object, object]) -> None:
    for number in itertools.count():
        root = tmp_path / str(number)
        case.work(root, "old")
        with told(strike := Strike(number)):
            try:
                case.work(root, "new")
            except (OSError, TriadError):
                assert strike.struck
        check(case, root, states)
        if not strike.struck:
            break
    assert number > 4


def test_a_kill_costs_nothing(case: Case, tmp_path: Path, states: tuple[object, object]) -> None:
    for number in itertools.count():
        root = tmp_path / str(number)
        case.work(root, "old")
        struck = killed(lambda root=root: case.work(root, "new"), number)
        check(case, root, states)
        if not struck:
            break
    assert number > 4


def test_a_power_cut_costs_nothing(case: Case, tmp_path: Path, states: tuple[object, object]) -> None:
    case.work(tmp_path / "root", "old")
    power = Power(tmp_path / "root")
    with told(power.step, power.synced):
        case.work(tmp_path / "root", "new")
    power.step()
    power.close()
    for number, cut in enumerate(power.cuts):
        lay(cut, tmp_path / str(number))
        check(case, tmp_path / str(number), states)
        shutil.rmtree(tmp_path / str(number))
    assert case.read(tmp_path / "root") == states[1]


def test_what_a_killed_writer_of_a_file_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".new.left.json").write_text("{")
    (tmp_path / "new.json").write_text("{}")
    with replacing_file(tmp_path / "a.json") as fresh:
        fresh.write_text("1")
        sweeps = "import sys; from triad.artifacts import *; sweep_files(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", sweeps, str(tmp_path)], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "new.json"}
