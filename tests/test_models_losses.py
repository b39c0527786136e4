"""Losses, weighting and experts against numbers worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from triad.models import losses
from triad.models.bodies import MMoE, SharedBottom
from triad.models.layers import Block, Table


def numbers(value) -> np.ndarray:
    return ops.convert_to_numpy(value)


def test_binary_by_hand() -> None:
    # p = 0.8: −log 0.8 and −log 0.2
    logit = np.log(4.0)
    found = numbers(losses.binary(np.array([1.0, 0.0]), np.array([logit, logit])))
    np.testing.assert_allclose(found, [0.22314355, 1.60943791], rtol=1e-6)


def test_multiclass_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32))
    found = numbers(losses.multiclass(np.array([0.0, 1.0], np.float32), logits))
    np.testing.assert_allclose(found, [np.log(2), np.log(5)], rtol=1e-6)


def test_regression_by_hand() -> None:
    assert numbers(losses.regression(np.array([1.0, -2.0]), np.array([0.5, 1.0]))).tolist() == [0.5, 3.0]


def test_the_product_is_the_entire_space_probability() -> None:
    a, b = np.array([0.3, -2.0, 4.0]), np.array([-1.2, 0.1, 5.0])
    p = 1 / ((1 + np.exp(-a)) * (1 + np.exp(-b)))
    np.testing.assert_allclose(numbers(losses.product_logit(a, b)), np.log(p / (1 - p)), rtol=1e-6)


def test_the_product_stays_finite_far_out() -> None:
    big = ops.convert_to_tensor(np.array([-200.0, 200.0, 200.0, -200.0], np.float32))
    other = ops.convert_to_tensor(np.array([-200.0, 200.0, -200.0, 200.0], np.float32))
    np.testing.assert_allclose(
        numbers(losses.product_logit(big, other)), [-400, 200 - np.log(2), -200, -200], rtol=1e-6
    )


def test_missing_labels_count_nothing() -> None:
    labels, mask = losses.clean(np.array([1.0, np.nan, 0.0]), np.array([1.0, 1.0, 0.0]))
    assert numbers(labels).tolist() == [1, 0, 0] and numbers(mask).tolist() == [1, 0, 0]
    assert float(losses.masked_mean(np.array([2.0, 7.0, 9.0]), mask)) == 2.0
    assert float(losses.masked_mean(np.array([2.0, 7.0]), np.zeros(2))) == 0.0


def test_uncertainty_by_hand() -> None:
    s = np.log(2.0)
    assert float(losses.uncertainty("binary", 3.0, s)) == pytest.approx(1.5 + s / 2)
    assert float(losses.uncertainty("regression", 3.0, s)) == pytest.approx(1.5 + s)


@pytest.mark.parametrize(("kind", "factor"), [("binary", 2.0), ("multiclass", 2.0), ("regression", 1.0)])
def test_uncertainty_is_least_where_theory_says(kind: str, factor: float) -> None:
    loss, best = 0.37, np.log(factor * 0.37)
    at = [float(losses.uncertainty(kind, loss, best + step)) for step in (-0.05, 0.0, 0.05)]
    assert at[1] < at[0] and at[1] < at[2]


STATES = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)
ITEMS = np.array([[0.2, 0.1], [1.0, -1.0], [0.0, 0.5], [-0.3, 0.4]], np.float32)
TARGET = np.array([1, 2])


def test_full_softmax_by_hand() -> None:
    logits = STATES @ ITEMS.T
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], TARGET]
    np.testing.assert_allclose(numbers(losses.softmax(STATES, ITEMS, TARGET)), expected, rtol=1e-6)


def test_log_q_makes_the_sampled_sum_the_full_one() -> None:
    # each item drawn as often as its probability says: what is summed is then the whole catalogue exactly
    drawn, q = np.array([0, 1, 1, 2, 3, 3, 3, 3]), np.array([1, 2, 1, 4]) / 8
    found = losses.sampled_softmax(
        STATES,
        ITEMS[TARGET],
        ITEMS[drawn],
        (TARGET[:, None] == drawn).astype("float32"),
        np.log(q[drawn], dtype="float32"),
    )
    np.testing.assert_allclose(numbers(found), numbers(losses.softmax(STATES, ITEMS, TARGET)), rtol=1e-5)


def test_gbce_by_hand() -> None:
    drawn = np.array([0, 3])
    found = losses.gbce(STATES, ITEMS[TARGET], ITEMS[drawn], np.zeros((2, 2), "float32"), catalogue=5, calibration=0.75)
    alpha = 2 / 4
    beta = alpha * (0.75 * (1 - 1 / alpha) + 1 / alpha)
    logits = STATES @ ITEMS.T
    chance = 1 / (1 + np.exp(-logits))
    expected = -beta * np.log(chance[[0, 1], TARGET]) - np.log(1 - chance[:, drawn]).sum(axis=1)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-5)


def test_gbce_leaves_out_the_target_drawn_by_accident() -> None:
    hit = np.array([[1.0, 0.0], [0.0, 0.0]], "float32")
    both = losses.gbce(STATES, ITEMS[TARGET], ITEMS[[1, 0]], hit, catalogue=5)
    clean = losses.gbce(STATES, ITEMS[TARGET], ITEMS[[1, 0]], np.zeros((2, 2), "float32"), catalogue=5)
    expected = np.log1p(np.exp(STATES[0] @ ITEMS[1]))
    np.testing.assert_allclose(numbers(clean - both), [expected, 0], atol=1e-6)


def test_mmoe_by_hand() -> None:
    body = MMoE(tasks=2, experts=2, dim=1)
    body.build((None, 2))
    assert [tuple(w.shape) for w in body.weights] == [(2, 2), (2,), (2, 4)]
    body.set_weights(
        [np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([0.0, 0.5]), np.array([[0.0, 0.0, np.log(3.0), 0.0], [0] * 4])]
    )
    # experts: relu(1·1 + 2·1) = 3, relu(−1 + 1 + 0.5) = 0.5; gates: halves, and three to one
    np.testing.assert_allclose(numbers(body(np.array([[1.0, 1.0]])))[0, :, 0], [1.75, 0.75 * 3 + 0.25 * 0.5], rtol=1e-6)


def test_shared_bottom_gives_every_task_the_same() -> None:
    body = SharedBottom(tasks=3, dim=4)
    found = numbers(body(np.random.default_rng(0).normal(size=(5, 6)).astype("float32")))
    assert (
        found.shape == (5, 3, 4)
        and (found[:, :1] == found).all()
        and [tuple(w.shape) for w in body.weights] == [(6, 4), (4,)]
    )


def test_a_table_takes_rows_and_pads_with_zero() -> None:
    table = Table(3, 2)
    table.build()
    weight = np.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]])
    table.set_weights([weight])
    assert numbers(table(np.array([[0, 2]]))).tolist() == [[[0, 0], [3, 4]]]


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row, not 0"):
        Table(0, 4)
    with pytest.raises(ValueError, match="dim 10 must be a multiple of heads 4"):
        Block(10, 4, 0.0)


@pytest.mark.parametrize(
    ("kind", "sizes"), [(Table, (5, 4)), (Block, (8, 2, 0.1)), (MMoE, (3, 2, 4)), (SharedBottom, (3, 4))]
)
def test_configurations_round_trip(kind, sizes) -> None:
    layer = kind(*sizes)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is kind and again.get_config() == layer.get_config()


def test_a_block_is_causal() -> None:
    block = Block(8, 2, 0.5)
    block.build()
    states = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
    later = states.copy()
    later[:, 4:] += 1
    one, two = numbers(block(states)), numbers(block(later))
    np.testing.assert_array_equal(one[:, :4], two[:, :4])
    assert (one[:, 4:] != two[:, 4:]).any()
