"""The search: what it may change and see, that it stops the hopeless, goes on after a kill, and picks the best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from click.testing import CliRunner
from make_dataset import make_dataset
from optuna.trial import TrialState

from triad.ablations.data import taught
from triad.ablations.params import StudyParams
from triad.config.params import merge, parse
from triad.errors import TriadError
from triad.examples import dataset
from triad.tracking.store import client
from triad.tuning import commands
from triad.tuning import search as searching
from triad.tuning.commands import tune as command
from triad.tuning.space import Space, blind, load_space, overlay
from triad.workspace import laid

ROOT = Path(__file__).parents[1]
PARAMS = StudyParams.model_validate({"tasks": {"click": {"kind": "binary", "label": "clicked"}}})
SPACE = Space.model_validate(
    {
        "dials": {
            "finetune.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "finetune.experts": {"choices": [1, 2]},
        },
        "trials": 9,
        "warm_trials": 3,
    }
)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"finetune.experts": {"low": 1}}, "low and high, or choices"),
        ({"finetune.experts": {"low": 3, "high": 1}}, "not below high"),
        ({"finetune.dropout": {"low": 0, "high": 1, "log": True}}, "above zero"),
        ({"fuse.folds": {"choices": [2, 5]}}, "depends on pretrain, finetune"),
        ({}, "at least 1 item"),
    ],
)
def test_what_a_space_may_not_say(tmp_path: Path, dials: dict, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"dials": dials}))
    with pytest.raises(TriadError, match=message):
        load_space(tmp_path / "bad.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "ablations" / "spaces").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_value_of_the_shipped_spaces_fits_the_params(path: Path) -> None:
    space, base = load_space(path), yaml.safe_load((ROOT / "params.yaml").read_text())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        trial = study.ask()
        chosen = {name: dial.suggest(trial, name) for name, dial in space.dials.items()}
        parse(merge(base, overlay(chosen)), "test")


def test_an_overlay_is_nested_sections() -> None:
    assert overlay({"pretrain.trunk.dim": 8, "pretrain.seed": 2, "finetune.experts": 1}) == {
        "pretrain": {"trunk": {"dim": 8}, "seed": 2},
        "finetune": {"experts": 1},
    }


def test_a_search_sees_no_label_and_no_question_of_later_windows() -> None:
    data = make_dataset()
    found = blind(data)
    for split in ("fusion", "test"):
        assert not len(found.rows(split)) and not len(found.rows(split, "lists"))
        assert np.isnan(found.exposures.labels[data.rows(split)]).all()
    for split in ("train", "validation"):
        assert np.array_equal(found.rows(split), data.rows(split))
    rows = data.rows("validation", "lists")
    for new, old in enumerate(rows):
        kept, before = (
            d.lists.target[d.lists.offsets[at] : d.lists.offsets[at + 1]] for d, at in ((found, new), (data, old))
        )
        assert np.array_equal(kept, before)


class Curve:
    """In place of a network: a loss that falls by epochs toward how far the rate is from 0.01."""

    def __init__(self, killed_at: int | None = None) -> None:
        self.tried, self.epochs, self.killed_at = [], [], killed_at

    def __call__(self, data, params, space, laid, run, **_):
        if self.killed_at == len(self.tried):
            raise KeyboardInterrupt
        self.tried.append(laid["finetune"]["learning_rate"])
        floor = abs(np.log10(self.tried[-1]) + 2) + 0.1 * laid["finetune"]["experts"]
        self.epochs.append(0)
        try:
            for epoch in range(1, 6):
                self.epochs[-1] = epoch
                run.epoch({"epoch": float(epoch), "validation_loss": floor + 1 / epoch})
        except optuna.TrialPruned:
            run.stopped = True
            return None
        return floor + 1 / 5


def test_a_killed_search_goes_on_and_ends_with_what_it_would_have_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    data = make_dataset(users=10)

    def search(curve: Curve, name: str):
        monkeypatch.setattr(searching, "_loss", curve)
        return searching.search(data, PARAMS, SPACE, name=name, folder=Path(name), experiment="tuning")

    whole, killed, rest = Curve(), Curve(killed_at=6), Curve()
    best, loss = search(whole, "whole")
    assert min(whole.epochs) < 5 == max(whole.epochs)  # some were stopped early
    with pytest.raises(KeyboardInterrupt):
        search(killed, "killed")
    again, same = search(rest, "killed")
    assert killed.tried + rest.tried == whole.tried and (again, same) == (best, loss)
    assert best["finetune"]["learning_rate"] == min(whole.tried, key=lambda rate: abs(np.log10(rate) + 2))
    assert search(Curve(), "whole") == (best, loss)  # nothing left to try

    study = optuna.load_study(study_name="killed", storage="sqlite:///killed/trials.db")
    assert [t.state for t in study.trials].count(TrialState.FAIL) == 1 and len(study.trials) == SPACE.trials + 1
    store = client()
    runs = store.search_runs([store.get_experiment_by_name("tuning").experiment_id], max_results=100)
    parent = next(run for run in runs if run.info.run_name == "tune killed")
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == SPACE.trials + 1 and parent.data.metrics["validation_loss"] == pytest.approx(loss)
    assert sorted(run.info.status for run in children) == ["FAILED"] + ["FINISHED"] * SPACE.trials
    assert {run.data.tags["stopped_early"] for run in children} == {"True", "False"}

    other = PARAMS.model_copy(update={"finetune": PARAMS.finetune.model_copy(update={"dropout": 0.4})})
    with pytest.raises(TriadError, match="begun on other data, params or dials"):
        searching.search(data, other, SPACE, name="whole", folder=Path("whole"), experiment="tuning")


@pytest.mark.proof
def test_a_real_search_writes_a_config_that_the_pipeline_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    dataset.save(taught(make_dataset(users=40), PARAMS.tasks), Path("artifacts/features"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["tasks"] = {"click": params["tasks"]["click"]}
    params["runtime"]["xla"], params["recommend"]["order_by"] = "off", None
    params["finetune"] |= {"init": "scratch", "body": "shared_bottom", "max_epochs": 1, "weighting": "fixed"}
    params["pretrain"]["trunk"] = {"dim": 8, "layers": 1, "heads": 1, "max_steps": 8}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    dials = {"finetune.learning_rate": {"choices": [1e-6, 1e-2]}, "finetune.head_dim": {"choices": [8]}}
    rates = {"dials": dials, "trials": 2, "seed": 3}
    Path("rates.yaml").write_text(yaml.safe_dump(rates))
    trials: list[None] = []
    monkeypatch.setattr(commands, "reexec_when_full", lambda: trials.append(None))
    said = CliRunner().invoke(command, ["rates.yaml"], catch_exceptions=False).stdout
    assert len(trials) == 2  # after each, the process may be replaced
    found = yaml.safe_load(Path("configs/tuned_rates.yaml").read_text())
    rate = found["finetune"]["learning_rate"]
    assert f" -S finetune.learning_rate={rate}" in said
    assert " -S +finetune.head_dim=8" in said  # params.yaml does not name it
    assert parse(laid(Path(), found), "test").finetune.learning_rate == rate
