"""Loss weightings: each against numbers worked out by hand, and against its paper's own terms where it has others."""

from itertools import permutations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.optimize import minimize

from triad.models.heads import WEIGHTINGS
from triad.models.weighting import DWA, FAMO, Fixed, Uncertainty
from triad.models.weighting_gradients import CAGrad, GradNorm, PCGrad, averse, project

LOSS, COUNT = np.float32([0.5, 0.1, 1.0]), np.float32([9, 4, 1])


def made(kind, kinds=("binary", "binary", "regression"), weights=(1.0, 1.0, 1.0)):
    weighting = kind(kinds, weights)
    weighting.build()
    return weighting


def numbers(value) -> np.ndarray:
    return ops.convert_to_numpy(value)


def gram_of(*gradients) -> np.ndarray:
    gradients = np.array(gradients, np.float32)
    return gradients @ gradients.T


def scales(weighting, loss=LOSS, count=COUNT, gram=None) -> np.ndarray:
    """λ of a batch: how the total follows each loss."""
    loss = tf.constant(loss)
    with tf.GradientTape() as tape:
        tape.watch(loss)
        total = weighting.total(loss, count, None if gram is None else tf.constant(gram))
    return tape.gradient(total, loss).numpy()


def test_fixed_is_each_tasks_own_weight() -> None:
    weighting = made(Fixed, weights=(1.0, 2.0, 0.5))
    assert float(weighting.total(LOSS, COUNT)) == pytest.approx(0.5 + 0.2 + 0.5)
    assert scales(weighting).tolist() == [1, 2, 0.5] and weighting.shown().tolist() == [1, 2, 0.5]


def test_uncertainty_by_hand() -> None:
    weighting = made(Uncertainty, weights=(1.0, 2.0, 1.0))
    weighting.log_scale.assign(np.log([2.0, 4.0, 0.5]))
    expected = 0.25 + np.log(2) / 2 + 2 * (0.025 + np.log(4) / 2) + 2 + np.log(0.5)
    assert float(weighting.total(LOSS, COUNT)) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(weighting.shown(), [0.5, 0.5, 2], rtol=1e-6)
    assert [weight.name for weight in weighting.trainable_variables] == ["log_scale"]


def test_uncertainty_starts_where_the_best_constants_ask_for_it() -> None:
    weighting = made(Uncertainty)
    weighting.start([0.5, 0.1, 0.8])
    np.testing.assert_allclose(weighting.shown(), [1, 5, 1.25], rtol=1e-6)  # 1 / 2L; of an absolute error 1 / L
    with tf.GradientTape() as tape:
        total = weighting.total(np.float32([0.5, 0.1, 0.8]), COUNT)
    np.testing.assert_allclose(tape.gradient(total, weighting.log_scale.value), 0, atol=1e-6)


def test_dwa_by_hand() -> None:
    weighting = made(DWA)
    for losses in ([1.0, 2.0, 4.0], [0.5, 2.0, 3.0]):
        assert scales(weighting, np.float32(losses)).tolist() == [1, 1, 1]
        weighting.after_epoch([weighting])
    pace = np.exp(np.array([0.5, 1.0, 0.75]) / 2)
    np.testing.assert_allclose(scales(weighting), 3 * pace / pace.sum(), rtol=1e-6)


def test_dwa_takes_an_epochs_mean_over_labelled_slots() -> None:
    weighting = made(DWA)
    weighting.total(np.float32([1, 1, 7]), np.float32([3, 1, 0]))
    weighting.total(np.float32([3, 1, 7]), np.float32([1, 1, 0]))
    weighting.after_epoch([weighting])
    np.testing.assert_allclose(numbers(weighting.last), [1.5, 1, 0])  # the third had no label, and has no pace
    weighting.total(np.float32([1.5, 0.5, 7]), np.float32([1, 1, 1]))
    weighting.after_epoch([weighting])
    pace = np.exp(np.array([1.0, 0.5, 1.0]) / 2)
    np.testing.assert_allclose(numbers(weighting.scale), 3 * pace / pace.sum(), rtol=1e-6)


def test_famo_by_hand() -> None:
    weighting = made(FAMO)
    pull = 1 / np.array([0.5, 0.1, 1.0])
    np.testing.assert_allclose(scales(weighting), 3 * pull / pull.sum(), rtol=1e-5)
    after = np.float32([0.4, 0.09, 0.5])
    weighting.after_step(after, COUNT)
    fall = np.log(LOSS / after)
    slope = (fall - fall.mean()) / 3
    # Adam's first step is the rate, against the slope: what fell least gets more
    np.testing.assert_allclose(numbers(weighting.logit), -0.025 * np.sign(slope), rtol=1e-4)
    again = np.float32([0.39, 0.08, 0.5])
    scales(weighting, after)
    weighting.after_step(again, COUNT)
    share = np.exp(-0.025 * np.sign(slope))
    share /= share.sum()
    fall = np.log(after / again)
    second = share * (fall - share @ fall) - 0.001 * 0.025 * np.sign(slope)
    moment, square = (0.09 * slope + 0.1 * second) / 0.19, (0.000999 * slope**2 + 0.001 * second**2) / 0.001999
    expected = -0.025 * np.sign(slope) - 0.025 * moment / np.sqrt(square)
    np.testing.assert_allclose(numbers(weighting.logit), expected, rtol=1e-3)


def test_famo_is_a_step_on_the_logarithms() -> None:
    weighting = made(FAMO)
    weighting.logit.assign([0.3, -0.2, 0.1])
    found = scales(weighting)
    loss = tf.constant(LOSS)
    with tf.GradientTape() as tape:
        tape.watch(loss)
        total = tf.reduce_sum(tf.nn.softmax([0.3, -0.2, 0.1]) * tf.math.log(loss))
    expected = tape.gradient(total, loss).numpy()
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=1e-5)


def test_gradnorm_by_hand() -> None:
    weighting = made(GradNorm)
    gram = gram_of([3, 0, 0], [0, 1, 0], [0, 0, 2])
    assert scales(weighting, gram=gram).tolist() == [1, 1, 1]
    # all at their first loss, so each is to be as long as their mean, 2: the first shorter, the second longer
    moved = 1 - 0.025 * np.array([3 / 2, -1 / 2, 0])
    moved *= 3 / moved.sum()
    np.testing.assert_allclose(numbers(weighting.scale), moved, rtol=1e-6)
    loss = np.float32([0.5, 0.05, 0.25])  # paces 1, 1/2 and 1/4
    np.testing.assert_allclose(scales(weighting, loss, gram=gram), moved, rtol=1e-6)
    length = moved * [3, 1, 2]
    target = length.mean() * (np.array([1, 0.5, 0.25]) / (1.75 / 3)) ** 1.5
    again = moved - 0.025 * np.array([3, 1, 2]) / length.mean() * np.sign(length - target)
    np.testing.assert_allclose(numbers(weighting.scale), again * 3 / again.sum(), rtol=1e-5)


def pcgrad(gradients: np.ndarray, order) -> np.ndarray:
    """The paper's algorithm 1, on the gradients themselves."""
    found = gradients.copy()
    for i in range(len(gradients)):
        for j in order:
            if j != i and found[i] @ gradients[j] < 0:
                found[i] -= (found[i] @ gradients[j]) / (gradients[j] @ gradients[j]) * gradients[j]
    return found


def test_pcgrad_by_hand() -> None:
    # (1, 0) loses nothing of length against (−1, 1) but its part along it: (1, 0) + ½ (−1, 1)
    found = numbers(project(tf.constant(gram_of([1, 0], [-1, 1])), [0, 1]))
    np.testing.assert_allclose(found, [[1, 0.5], [1, 1]], rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_pcgrads_coefficients_are_the_papers_gradients(seed: int) -> None:
    random = np.random.default_rng(seed)
    gradients = random.normal(size=(4, 3)).astype("float32")
    order = random.permutation(4)
    found = numbers(project(tf.constant(gradients @ gradients.T), order)) @ gradients
    np.testing.assert_allclose(found, pcgrad(gradients, order), rtol=1e-3, atol=1e-5)


def test_pcgrad_leaves_what_does_not_conflict() -> None:
    assert scales(made(PCGrad), gram=gram_of([1, 0, 0], [0.5, 1, 0], [0.1, 0, 1])).tolist() == [1, 1, 1]


def test_pcgrad_draws_an_order_a_step() -> None:
    gram = gram_of([1, 0.2, 0], [-1, 1, 0.3], [0.2, -1, 1])
    drawn = {tuple(scales(weighting, gram=gram).round(4)) for weighting in [made(PCGrad)] for _ in range(30)}
    orders = [np.sum(numbers(project(tf.constant(gram), list(order))), axis=0) for order in permutations(range(3))]
    assert len(drawn) > 1 and drawn <= {tuple(found.round(4)) for found in orders}


def cagrad(gradients: np.ndarray, radius: float) -> np.ndarray:
    """The paper's direction, w found by a solver for constrained problems."""
    mean = gradients.mean(axis=0)
    reach = radius * np.linalg.norm(mean)
    starts = [np.full(len(gradients), 1 / len(gradients)), *(0.9 * np.eye(len(gradients)) + 0.1 / len(gradients))]
    solved = [
        minimize(
            lambda w: w @ gradients @ mean + reach * np.linalg.norm(w @ gradients),
            start,
            bounds=[(0, 1)] * len(gradients),
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
        )
        for start in starts
    ]
    chosen = min(solved, key=lambda each: each.fun).x @ gradients
    return mean + reach * chosen / np.linalg.norm(chosen)


def test_cagrad_by_hand() -> None:
    # of equal length and at right angles, by symmetry w is half and half, so d = (1 + c) g₀
    found = scales(made(CAGrad, ("binary",) * 2, (1.0, 1.0)), LOSS[:2], COUNT[:2], gram_of([1, 0], [0, 1]))
    np.testing.assert_allclose(found, [1.4, 1.4], rtol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_cagrad_goes_where_the_paper_goes(seed: int) -> None:
    random = np.random.default_rng(seed)
    gradients = random.normal(size=(3, 8)) * random.lognormal(0, 0.7, (3, 1))
    gradients[1] -= gradients[0]
    expected = cagrad(gradients, 0.4)
    found = scales(made(CAGrad), gram=np.float32(gradients @ gradients.T)) @ gradients / 3
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.99
    assert np.linalg.norm(found - gradients.mean(axis=0)) == pytest.approx(
        0.4 * np.linalg.norm(gradients.mean(axis=0)), rel=1e-3
    )
    assert (gradients @ found).min() > (gradients @ gradients.mean(axis=0)).min(), "better for the worst task"


def test_cagrads_weights_stay_on_the_simplex() -> None:
    weights = numbers(averse(tf.constant(gram_of([1e3, 0], [-1e-3, 1e-4])), tf.constant([0.5, 0.5]), 0.4))
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_task_without_a_label_adds_nothing_and_spoils_nothing(name: str) -> None:
    weighting = made(WEIGHTINGS[name], weights=(1.0, 2.0, 1.0))
    before = {weight.path: numbers(weight) for weight in weighting.weights if "seed" not in weight.path}
    loss, count, gram = np.float32([0.5, 0.0, 1.0]), np.float32([9, 0, 1]), gram_of([1, 0, 0], [0, 0, 0], [-1, 0, 1])
    found = scales(weighting, loss, count, gram)
    assert found[1] == 0 and found[0] > 0 and np.isfinite(found).all()
    weighting.after_step(0.9 * loss, count)
    weighting.after_epoch([weighting])
    for weight in weighting.weights:
        assert np.isfinite(numbers(weight)).all()
        if weight.name in ("recent", "log_scale", "first"):
            assert numbers(weight)[1] == before[weight.path][1]
    assert np.isfinite(weighting.shown()).all()
    nothing = scales(weighting, np.zeros(3, "float32"), np.zeros(3, "float32"), np.zeros((3, 3), "float32"))
    assert nothing.tolist() == [0, 0, 0]
    assert all(np.isfinite(numbers(weight)).all() for weight in weighting.weights)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weightings_round_trip(name: str) -> None:
    weighting = made(WEIGHTINGS[name], weights=(1.0, 2.0, 1.0))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(weighting))
    assert type(again) is type(weighting) and again.get_config() == weighting.get_config()
    assert all(weight.shape in ((3,), ()) or "seed" in weight.path for weight in weighting.weights)
