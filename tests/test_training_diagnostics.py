"""The negative-transfer report's numbers, from cases made by hand."""

import numpy as np
import pytest
from make_dataset import make_dataset
from scipy import stats
from test_training import PARAMS
from test_training_gradients import TASKS

from triad.errors import TriadError
from triad.models.multitask import multi_task
from triad.models.trunk import trunk_config
from triad.training.diagnostics import cosines, expert_use, gradient_grams, lambdas, negative_transfer, over_seeds


def test_the_gain_over_seeds_by_hand() -> None:
    found = over_seeds([0.71, 0.74, 0.72], [0.70, 0.72, 0.72])
    gain = np.array([0.01, 0.02, 0.0])
    low, high = stats.t.interval(0.95, 2, gain.mean(), gain.std(ddof=1) / 3**0.5)
    assert found == pytest.approx({"gain": 0.01, "lo": low, "hi": high})
    assert over_seeds([0.7], [0.6])["lo"] == -np.inf, "one seed says nothing of the spread"


def test_figures_of_other_seeds_are_refused() -> None:
    with pytest.raises(TriadError, match="single-task twin: 2 figures stand against 1"):
        over_seeds([0.7, 0.8], [0.7])


def test_the_verdicts() -> None:
    together = {"click": [0.80, 0.81, 0.82], "price": [0.1, 0.2, 0.3], "profile": [0.50, 0.51, 0.52]}
    alone = {"click": [0.70, 0.71, 0.721], "price": [0.2, 0.2, 0.2], "profile": [0.60, 0.61, 0.621]}
    found = negative_transfer(together, alone)
    assert {task: each["verdict"] for task, each in found.items()} == {
        "click": "helps",
        "price": "open",
        "profile": "harms",
    }
    assert found["click"]["together"] == pytest.approx(0.81) and found["click"]["alone"] == pytest.approx(0.7103, 1e-3)


def test_cosines_by_hand() -> None:
    one = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]])  # the third has no label in this batch
    two = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    found = cosines(np.stack([one @ one.T, two @ two.T]))
    np.testing.assert_allclose(found["cosine"], [[1, (0.6 - 1) / 2, 0], [-0.2, 1, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found["conflict"], [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    assert np.isnan(cosines(np.zeros((2, 2, 2)))["cosine"]).all()


def test_lambdas_are_read_from_the_history() -> None:
    history = [{"epoch": 1.0, "validation_lambda_a": 1.0, "validation_lambda_b": 2.0}, {"validation_lambda_a": 3.0}]
    np.testing.assert_array_equal(lambdas(history[:1], ["b", "a"]), [[2.0, 1.0]])


@pytest.mark.parametrize(("body", "experts"), [("mmoe", 2), ("ple", 3), ("stem", 6)])
def test_expert_use_is_the_mean_gate(body: str, experts: int) -> None:
    data = make_dataset(users=20, pages=5)
    params = PARAMS.finetune.model_copy(update={"body": body})
    network = multi_task(data, trunk_config(data, PARAMS.pretrain.trunk), params, TASKS)
    rows = data.rows("test")
    found = expert_use(network, data, "exposures", rows, slots=32)  # several batches, the last one padded
    assert found.shape == (4, experts)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found, expert_use(network, data, "exposures", rows, slots=4096), rtol=1e-4)
    made = network.units["exposures"].body
    gate = (made.levels[-1] if body == "ple" else made).gate
    gate.assign(np.zeros(gate.shape))
    np.testing.assert_allclose(
        expert_use(network, data, "exposures", rows), np.full((4, experts), 1 / experts), rtol=1e-5
    )


def test_a_body_without_gates_says_so() -> None:
    data = make_dataset(users=5, pages=3)
    params = PARAMS.finetune.model_copy(update={"body": "shared_bottom"})
    network = multi_task(data, trunk_config(data, PARAMS.pretrain.trunk), params, TASKS)
    with pytest.raises(TriadError, match=r"finetune\.body: shared_bottom has no gates"):
        expert_use(network, data, "exposures", data.rows("train"))
    grams = gradient_grams(network, data, {"exposures": data.rows("train")}, slots=32)
    assert grams.shape[1:] == (4, 4) and len(grams) > 1
    np.testing.assert_allclose(grams, grams.transpose(0, 2, 1), rtol=1e-5)
