"""Whatever fails, and whenever the power goes: what stood there or what was to come stands there, whole."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import Power, Strike, killed, lay, told

from triad.artifacts import recover, replacing, replacing_together, write_json
from triad.errors import TriadError
from triad.retraining import delivery, pruning


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


CASES = {
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
