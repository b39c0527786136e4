"""The source gate: by hand, its interval by simulation, and the stage that refuses a source."""

from pathlib import Path

import numpy as np
import pytest
from make_dataset import make_dataset
from test_training import PARAMS, params_with, run_finetune

from triad.artifacts import read_json
from triad.evaluation.source import judge_source
from triad.examples.dataset import Dataset, save
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.naive import naive_losses
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.stages.finetune import finetune
from triad.training.sourcing import relative_losses, validation_rows


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


def test_the_gain_is_clear_or_it_is_not() -> None:
    random = np.random.default_rng(0)
    user = np.repeat(np.arange(400), 5)
    own = np.repeat(random.normal(0, 1, 400), 5)
    scratch = 1 + own + random.normal(0, 0.1, 2000)
    clear = judge_source(scratch, scratch - 0.2 - 0.5 * np.repeat(random.normal(0, 1, 400), 5), user, seed=1)
    assert clear.helps and clear.low < clear.value < clear.high
    # 400 users of spread 0.5: the standard error is 0.025, whatever the number of their rows
    assert (clear.high - clear.low) / 2 == pytest.approx(1.96 * 0.5 / 20, rel=0.15)
    unclear = judge_source(scratch, scratch - 0.5 * np.repeat(random.normal(0, 1, 400), 5), user, seed=1)
    assert not unclear.helps and unclear.low < 0 < unclear.high
    assert not judge_source(scratch, scratch, user, seed=1).helps, "no worse is not enough"
    worse = judge_source(scratch, scratch + 0.2, user, seed=1)
    assert worse.value == pytest.approx(-0.2) and not worse.helps


def test_relative_losses_by_hand() -> None:
    happens = {"kind": "binary", "scale": 1.0}
    tasks = {"click": happens, "price": {"kind": "regression", "scale": 2.0}, "off": happens}
    labels = np.array([[1, np.nan, 1], [0, 3, 1], [0, np.nan, 1], [1, np.nan, 1]], float)
    scores = {"click": np.array([0.5, 0.5, 0.2, 0.8]), "price": np.array([0, 1, 0, 0.0]), "off": np.full(4, 0.1)}
    rows = relative_losses(scores, labels, tasks, {"click": 0.5, "price": 0.25})
    click, price = -np.log([0.5, 0.5, 0.8, 0.8]).mean() / 0.5, (2 / 2.0) / 0.25
    assert rows.mean() == pytest.approx((2 * click + 1 * price) / 3)  # weights: roots of 4 labels and of 1


def test_rows_add_up_to_what_stops_training(data) -> None:
    ranker, history = run_finetune(data, max_epochs=1)
    rows = validation_rows(ranker, data)
    assert rows.shape == data.rows("validation").shape
    assert rows.mean() == pytest.approx(history[0]["validation_loss"], rel=1e-4)
    naive = naive_losses(data, ranker.network.tasks, "validation")
    assert set(naive) == set(PARAMS.tasks)


@pytest.mark.proof
def test_a_source_that_does_not_help_is_refused(data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(data, Path("artifacts/features"))
    nonsense = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk))
    nonsense.set_weights([np.random.default_rng(3).normal(0, 3, w.shape) for w in nonsense.get_weights()])
    Sequence(nonsense).save(Path("artifacts/pretrain"))
    finetune(params_with(finetune={"source_gate": True, "transfer": "frozen"}))
    metrics = read_json(Path("artifacts/finetune/metrics.json"))
    assert metrics["source_gain_low"] <= 0
    assert metrics["trunk_parameters_learned"] == metrics["trunk_parameters"] > 0
    served, plain = NetworkScorer.load(Path("artifacts/finetune")), run_finetune(data)[0]
    for ours, theirs in zip(served.network.get_weights(), plain.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)  # just what is learned from nothing
    assert not list(Path(".triad/checkpoints").glob("finetune-*"))
