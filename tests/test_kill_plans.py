"""Whom `make kill-trials` kills, and when. That what comes out is the same, the trials themselves show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from topology.kills import Plan
from topology.nights import Night

from triad.training import again
from triad.training.checkpoints import checkpoint_folder

NIGHTS = {
    "full": {
        "features": (20.0, 40.0),
        "pretrain": (40.0, 90.0),
        "train pretrain": (60.0, 85.0),
        "refit": (120.0, 180.0),
        "train refit": (130.0, 155.0),
        "publish": (180.0, 190.0),
    },
    "light": {"ingest": (5.0, 15.0), "refit": (15.0, 60.0), "train refit": (20.0, 40.0), "publish": (60.0, 70.0)},
}


def undisturbed(kind: str) -> Any:
    engine = SimpleNamespace(services=("scheduler", "postgres"))
    return SimpleNamespace(deployed=SimpleNamespace(engine=engine), spans=NIGHTS[kind], whole=200.0)


@pytest.mark.parametrize("kind", NIGHTS)
def test_a_refit_is_killed_as_often_as_it_is_long(kind: str) -> None:
    plans = [Plan.draw(1, number, undisturbed(kind)) for number in range(2_000)]
    for victim, span in (("a training step", "train refit"), ("a task's process", "refit")):
        mine = [plan for plan in plans if plan.kind == victim]
        lengths = {
            name: end - at for name, (at, end) in NIGHTS[kind].items() if name.startswith("train ") == ("train" in span)
        }
        hits = [plan for plan in mine if plan.span == span]
        assert len(hits) / len(mine) == pytest.approx(lengths[span] / sum(lengths.values()), abs=0.06)
        began, ended = NIGHTS[kind][span]
        assert all(began <= began + plan.wait == plan.moment <= ended for plan in hits)


def test_the_training_of_a_refit_is_seen_by_its_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = SimpleNamespace(cmdline=lambda: ["python", "-m", "triad", "retraining", "stage", "refit", "-w", tmp_path])
    monkeypatch.setattr(Night, "__post_init__", lambda self: None)
    monkeypatch.setattr(Night, "working", lambda self: {"refit": running})
    night = Night(SimpleNamespace())
    night.look()
    assert set(night.spans) == {"refit"}
    (tmp_path / checkpoint_folder(f"{again.STAGE}-pretrain", "a")).mkdir(parents=True)
    night.look()
    assert set(night.spans) == {"refit", "train refit"}
