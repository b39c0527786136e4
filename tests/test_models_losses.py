"""Losses, tables and blocks against numbers worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from triad.encoders.base import Table
from triad.encoders.history import Block
from triad.kinds import KINDS
from triad.models import losses


def numbers(value) -> np.ndarray:
    return ops.convert_to_numpy(value)


def test_binary_by_hand() -> None:
    # p = 0.8: −log 0.8 and −log 0.2
    logit = np.log(4.0)
    found = numbers(KINDS["binary"].loss(np.array([1.0, 0.0]), np.array([logit, logit])))
    np.testing.assert_allclose(found, [0.22314355, 1.60943791], rtol=1e-6)


def test_multiclass_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32))
    found = numbers(KINDS["multiclass"].loss(np.array([0.0, 1.0], np.float32), logits))
    np.testing.assert_allclose(found, [np.log(2), np.log(5)], rtol=1e-6)


def test_regression_by_hand() -> None:
    assert numbers(KINDS["regression"].loss(np.array([1.0, -2.0]), np.array([0.5, 1.0]))).tolist() == [0.5, 3.0]


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
    assert float(KINDS["binary"].uncertainty(3.0, s)) == pytest.approx(1.5 + s / 2)
    assert float(KINDS["regression"].uncertainty(3.0, s)) == pytest.approx(1.5 + s)


@pytest.mark.parametrize(("kind", "factor"), [("binary", 2.0), ("multiclass", 2.0), ("regression", 1.0)])
def test_uncertainty_is_least_where_theory_says(kind: str, factor: float) -> None:
    loss, best = 0.37, np.log(factor * 0.37)
    at = [float(KINDS[kind].uncertainty(loss, best + step)) for step in (-0.05, 0.0, 0.05)]
    assert at[1] < at[0] and at[1] < at[2]


def test_inverse_propensity_by_hand() -> None:
    # chances 0.2 and 0.5; where nothing happened nothing is known; 0.01 counts as 0.05
    logits = np.log(np.array([0.25, 1.0, 1.0, 0.01 / 0.99]))
    found = numbers(losses.inverse_propensity(np.array([0.3, 0.4, 9.0, 0.1]), np.array([1.0, 1.0, 0.0, 1.0]), logits))
    np.testing.assert_allclose(found, [1.5, 0.8, 0.0, 2.0], rtol=1e-6)


def test_doubly_robust_by_hand() -> None:
    happened, logits = np.array([1.0, 0.0]), np.log(np.array([0.25, 1.0]))
    found = numbers(losses.doubly_robust(np.array([0.3, 9.0]), np.array([0.1, 0.2]), happened, logits))
    np.testing.assert_allclose(found, [0.1 + 0.2 / 0.2 + 0.04 / 0.2, 0.2], rtol=1e-6)


def test_both_estimate_the_loss_as_if_the_event_always_happened() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(-0.5, 0.8, 200_000)
    happened = (random.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype("float64")
    errors = 0.5 + 0.2 * logits  # of which those that happened show too much
    assert errors[happened == 1].mean() > errors.mean() + 0.05
    assert numbers(losses.inverse_propensity(errors, happened, logits)).mean() == pytest.approx(errors.mean(), abs=0.01)
    imputed = np.full_like(errors, 0.1)  # wrong, and yet
    taught = numbers(losses.inverse_propensity((errors - imputed) ** 2, happened, logits)).mean()
    robust = numbers(losses.doubly_robust(errors, imputed, happened, logits)).mean() - taught
    assert robust == pytest.approx(errors.mean(), abs=0.01)


def test_neither_moves_the_propensity_and_each_part_moves_its_own() -> None:
    error, imputed, logit = (tf.constant([value]) for value in (0.3, 0.1, -0.5))
    with tf.GradientTape() as tape:
        tape.watch([error, imputed, logit])
        loss = losses.doubly_robust(error, imputed, tf.constant([1.0]), logit)
    by_error, by_imputed, by_logit = tape.gradient(loss, [error, imputed, logit])
    share = 1 + np.exp(0.5)
    assert by_logit is None and float(by_error[0]) == pytest.approx(share, rel=1e-5)
    assert float(by_imputed[0]) == pytest.approx(-2 * 0.2 * share, rel=1e-5)


STATES = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)
ITEMS = np.array([[0.2, 0.1], [1.0, -1.0], [0.0, 0.5], [-0.3, 0.4]], np.float32)
TARGET = np.array([1, 2])
LOGITS = STATES @ ITEMS.T
TAKEN = LOGITS[[0, 1], TARGET]


def test_full_softmax_by_hand() -> None:
    expected = np.log(np.exp(LOGITS).sum(axis=1)) - TAKEN
    np.testing.assert_allclose(numbers(losses.softmax(LOGITS, TARGET)), expected, rtol=1e-6)


def test_log_q_makes_the_sampled_sum_the_full_one() -> None:
    # each item drawn as often as its probability says: what is summed is then the whole catalogue exactly
    drawn, q = np.array([0, 1, 1, 2, 3, 3, 3, 3]), np.array([1, 2, 1, 4]) / 8
    found = losses.sampled_softmax(
        TAKEN,
        LOGITS[:, drawn],
        (TARGET[:, None] == drawn).astype("float32"),
        np.log(q[drawn], dtype="float32"),
    )
    np.testing.assert_allclose(numbers(found), numbers(losses.softmax(LOGITS, TARGET)), rtol=1e-5)


def test_gbce_by_hand() -> None:
    drawn = np.array([0, 3])
    found = losses.gbce(TAKEN, LOGITS[:, drawn], np.zeros((2, 2), "float32"), catalogue=5, calibration=0.75)
    alpha = 2 / 4
    beta = alpha * (0.75 * (1 - 1 / alpha) + 1 / alpha)
    chance = 1 / (1 + np.exp(-LOGITS))
    expected = -beta * np.log(chance[[0, 1], TARGET]) - np.log(1 - chance[:, drawn]).sum(axis=1)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-5)


def test_gbce_leaves_out_the_target_drawn_by_accident() -> None:
    hit = np.array([[1.0, 0.0], [0.0, 0.0]], "float32")
    both = losses.gbce(TAKEN, LOGITS[:, [1, 0]], hit, catalogue=5)
    clean = losses.gbce(TAKEN, LOGITS[:, [1, 0]], np.zeros((2, 2), "float32"), catalogue=5)
    expected = np.log1p(np.exp(STATES[0] @ ITEMS[1]))
    np.testing.assert_allclose(numbers(clean - both), [expected, 0], atol=1e-6)


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


@pytest.mark.parametrize(("kind", "sizes"), [(Table, (5, 4)), (Block, (8, 2, 0.1))])
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
