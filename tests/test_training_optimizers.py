"""Groups of weights: their rates, and the averages that are validated and kept."""

import keras
import numpy as np
import pytest
from keras import ops

from triad.training.optimizers import Pace, Schedule, grouped

SCHEDULE = Schedule(learning_rate=0.1, weight_decay=0.0, max_epochs=10, patience=3, checkpoint_steps=9)


def weight(value: float) -> keras.Variable:
    return keras.Variable(np.full((2, 2), value, np.float32))


def gradient() -> np.ndarray:
    return np.ones((2, 2), np.float32)


def number(variable: keras.Variable) -> float:
    values = ops.convert_to_numpy(variable)
    assert (values == values[0, 0]).all()
    return float(values[0, 0])


def test_a_group_moves_at_its_share_of_the_rate() -> None:
    full, slow, still = weight(1.0), weight(1.0), weight(1.0)
    shares = {id(full): 1.0, id(slow): 0.1, id(still): 0.0}
    groups = grouped([still, slow, full], SCHEDULE, 10, lambda each: Pace(shares[id(each)]))
    assert groups.weights == [full, slow]
    for _ in range(8):
        groups.apply([ops.convert_to_tensor(gradient()) for _ in groups.weights])
    assert number(still) == 1.0
    assert 1 - number(full) == pytest.approx(10 * (1 - number(slow)), rel=1e-3)
    # Adam on a constant gradient moves by the rate: 0.01 first, rising to 0.1 within a twentieth of 100 steps, then on
    # the cosine
    warm = [0.01 + 0.09 * step / 5 for step in range(5)]
    cosine = [0.01 + 0.09 * (1 + np.cos(np.pi * step / 95)) / 2 for step in range(3)]
    assert 1 - number(full) == pytest.approx(sum(warm + cosine), rel=1e-3)


def test_averages_stand_in_for_the_weights_and_leave_them_as_they_were() -> None:
    one = weight(1.0)
    groups = grouped([one], SCHEDULE, 8, lambda _: Pace())
    average, momentum = None, 1 - 2 / 8
    for _ in range(5):
        groups.apply([ops.convert_to_tensor(gradient())])
        average = number(one) if average is None else momentum * average + (1 - momentum) * number(one)
    raw = number(one)
    with groups.averaged():
        assert number(one) == pytest.approx(average, rel=1e-5)
    assert number(one) == raw != average


def test_only_matrices_decay() -> None:
    matrix, bias = weight(1.0), keras.Variable(np.ones(2, np.float32))
    decaying = Schedule(learning_rate=0.1, weight_decay=0.5, max_epochs=10, patience=3, checkpoint_steps=9)
    groups = grouped([matrix, bias], decaying, 10, lambda _: Pace())
    groups.apply([ops.zeros((2, 2)), ops.zeros(2)])
    assert number(matrix) == pytest.approx(1 - 0.01 * 0.5) and ops.convert_to_numpy(bias).tolist() == [1, 1]


def test_a_networks_weights_are_grouped_by_share() -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(1, name="b")])
    groups = grouped(network.trainable_variables, SCHEDULE, 10, lambda each: Pace(0.2 if "/a/" in each.path else 1.0))
    assert [each.path.split("/", 1)[1] for each in groups.weights] == ["b/kernel", "b/bias", "a/kernel", "a/bias"]


def test_a_group_that_starts_late_waits_and_then_has_a_whole_schedule() -> None:
    early, late = weight(1.0), weight(1.0)
    groups = grouped([early, late], SCHEDULE, 10, lambda each: Pace(1.0, start=0 if each is early else 4))
    assert [len(groups.at(epoch)) for epoch in (0, 3, 4, 9)] == [1, 1, 2, 2]
    assert groups.at(3).weights == [early]
    for _ in range(40):
        groups.at(3).apply([ops.convert_to_tensor(gradient())])
    assert number(late) == 1.0
    groups.at(4).apply([ops.zeros((2, 2)) if each is early else gradient() for each in groups.weights])
    assert 1 - number(late) == pytest.approx(0.01, rel=1e-3), "a tenth of the rate, as at any start"
    assert not grouped([late], SCHEDULE, 10, lambda _: Pace(1.0, start=10)).weights, "it would begin after the end"
