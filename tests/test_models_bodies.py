"""Bodies: numbers worked out by hand, weight shapes, bad sizes, configurations, saving and loading."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from triad.models.bodies import Experts, MMoE, SharedBottom, SingleTask
from triad.models.bodies_embeddings import STEM
from triad.models.bodies_extraction import PLE, Extraction
from triad.models.bodies_transfer import AITM, Transfer

ONES = np.array([[1.0, 1.0]], np.float32)
BODIES = {  # of two tasks over five features, two units wide
    "single_task": lambda: SingleTask(2, 2),
    "shared_bottom": lambda: SharedBottom(2, 2),
    "mmoe": lambda: MMoE(2, 3, 2),
    "cgc": lambda: PLE(2, 3, 1, 2, levels=1),
    "ple": lambda: PLE(2, 3, 1, 2, levels=2),
    "aitm": lambda: AITM([None, 0], 2),
    "stem": lambda: STEM(2, 3, 1, 2),
}


def numbers(value) -> np.ndarray:
    return ops.convert_to_numpy(value)


def shapes(layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def test_experts_by_hand() -> None:
    experts = Experts(groups=2, experts=2, dim=1)
    experts.build((None, 2, 2))
    assert shapes(experts) == [(2, 4), (4,)]
    experts.set_weights([np.array([[1.0, -1.0, 2.0, 0.0], [2.0, 1.0, 0.0, 1.0]]), np.array([0.0, 0.5, 0.0, -1.0])])
    # group 0 reads (1, 1): 3 and 0.5; group 1 reads (2, 3): 4 and 2
    found = numbers(experts(np.array([[[1.0, 1.0], [2.0, 3.0]]])))
    np.testing.assert_allclose(found[..., 0], [[[3.0, 0.5], [4.0, 2.0]]])


def test_mmoe_by_hand() -> None:
    body = MMoE(tasks=2, experts=2, dim=1)
    body.build((None, 2))
    assert shapes(body) == [(2, 2), (2,), (2, 4)]
    body.set_weights(
        [np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([0.0, 0.5]), np.array([[0.0, 0.0, np.log(3.0), 0.0], [0] * 4])]
    )
    # experts: relu(1·1 + 2·1) = 3, relu(−1 + 1 + 0.5) = 0.5; gates: halves, and three to one
    heard, gates = body.mix(ONES)
    np.testing.assert_allclose(numbers(gates)[0], [[0.5, 0.5], [0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(numbers(heard)[0, :, 0], [1.75, 0.75 * 3 + 0.25 * 0.5], rtol=1e-6)


def test_shared_bottom_gives_every_task_the_same() -> None:
    body = SharedBottom(tasks=3, dim=4)
    found = numbers(body(np.random.default_rng(0).normal(size=(5, 6)).astype("float32")))
    assert found.shape == (5, 3, 4) and (found[:, :1] == found).all() and shapes(body) == [(6, 4), (4,)]


def test_single_task_shares_nothing() -> None:
    body = SingleTask(tasks=2, dim=1)
    body.build((None, 2))
    assert shapes(body) == [(2, 2), (2,)]
    body.set_weights([np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([0.0, 0.5])])
    assert numbers(body(ONES)).tolist() == [[[3.0], [0.5]]]


OWN = [np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([0.0, 0.5])]  # of the features (1, 1): 3 and 0.5
SHARED = [np.array([[1.0], [0.0]]), np.array([0.0])]  # 1


def test_cgc_by_hand() -> None:
    body = PLE(tasks=2, experts=1, own=1, dim=1, levels=1)
    body.build((None, 2))
    assert shapes(body) == [(2, 4), (2, 2), (2,), (2, 1), (1,)]
    gate = np.array([[0.0, 0.0, np.log(3.0), 0.0], [0.0] * 4])
    body.set_weights([gate, *OWN, *SHARED])
    heard, gates = body.mix(ONES)
    np.testing.assert_allclose(numbers(gates)[0], [[0.5, 0.5], [0.75, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(numbers(heard)[0, :, 0], [(3 + 1) / 2, 0.75 * 0.5 + 0.25 * 1], rtol=1e-6)


def test_ple_by_hand() -> None:
    body = PLE(tasks=2, experts=1, own=1, dim=1, levels=2)
    body.build((None, 2))
    assert shapes(body) == [(2, 4), (2, 3), (2, 2), (2,), (2, 1), (1,), (1, 4), (1, 2), (2,), (1, 1), (1,)]
    top = [np.zeros((1, 4)), np.array([[1.0, 2.0]]), np.zeros(2), np.array([[2.0]]), np.zeros(1)]
    body.set_weights([np.zeros((2, 4)), np.zeros((2, 3)), *OWN, *SHARED, *top])
    # below: (3 + 1) / 2, (0.5 + 1) / 2, and shared (3 + 0.5 + 1) / 3 = 1.5; above: own 1·, 2·, shared 2·
    np.testing.assert_allclose(
        numbers(body(ONES))[0, :, 0], [(2 * 1 + 1.5 * 2) / 2, (0.75 * 2 + 1.5 * 2) / 2], rtol=1e-6
    )


def test_aitm_by_hand() -> None:
    body = AITM([None, 0], dim=1)
    body.build((None, 2))
    assert shapes(body) == [(2, 2), (2,), (1, 1), (1,), (1, 3)]
    body.set_weights([*OWN, np.array([[0.5]]), np.array([0.0]), np.array([[1.0, 1.0, 2.0]])])
    # the first step says 3, so 1.5 flows on; beside the second's own 0.5 it scores 1.5² against 0.5²
    share = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(numbers(body(ONES))[0, :, 0], [3.0, share * 3 + (1 - share) * 1], rtol=1e-6)


def test_aitm_follows_the_funnel_in_any_order() -> None:
    body = AITM([1, 2, None, None], dim=3)
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    found, own = numbers(body(features)), numbers(body.own(features))
    np.testing.assert_array_equal(found[:, 2:], own[:, 2:])
    middle = numbers(body.transfers[1](own[:, 2], own[:, 1]))
    np.testing.assert_allclose(found[:, 1], middle, rtol=1e-5)
    np.testing.assert_allclose(found[:, 0], numbers(body.transfers[0](middle, own[:, 0])), rtol=1e-5)


def stem() -> STEM:
    body = STEM(tasks=2, experts=1, own=1, dim=1)
    body.build((None, 3, 1))
    assert shapes(body) == [(1, 6), (1, 2), (2,), (1, 1), (1,)]
    gate = np.array([[np.log(3.0) / 4, 0.0, 0.0, 0.0, 0.0, 0.0]])
    body.set_weights([gate, np.ones((1, 2)), np.zeros(2), np.ones((1, 1)), np.zeros(1)])
    return body


VIEWS = np.array([[[1.0], [2.0], [3.0]]], np.float32)  # of task 0, of task 1, shared: the experts say the same


def test_stem_by_hand() -> None:
    heard, gates = stem().mix(VIEWS)
    # task 0's gate reads 1 + 3: e^ln 3 to 1 to 1
    np.testing.assert_allclose(numbers(gates)[0], [[0.6, 0.2, 0.2], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(numbers(heard)[0, :, 0], [0.6 * 1 + 0.2 * 2 + 0.2 * 3, 2.0], rtol=1e-6)


def test_in_stem_no_task_moves_what_is_anothers() -> None:
    body, views = stem(), tf.constant(VIEWS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(views)
        first, second = tf.unstack(body(views)[0, :, 0])
    kernel = body.own.kernel.value
    np.testing.assert_allclose(tape.gradient(first, kernel).numpy(), [[0.6, 0.0]], rtol=1e-6)
    assert tape.gradient(second, kernel).numpy()[0, 0] == 0 and tape.gradient(second, kernel).numpy()[0, 1] > 0
    assert tape.gradient(second, views).numpy()[0, 0, 0] == 0 and tape.gradient(first, views).numpy()[0, 2, 0] > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Experts(2, 0, 4), "at least one group, expert and unit, not 2, 0, 4"),
        (lambda: PLE(2, 1, 1, 4, levels=0), "at least one level, not 0"),
        (lambda: AITM([None, None], 4), "a task whose event another one needs"),
    ],
)
def test_bad_sizes_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [Experts(2, 3, 4), Extraction(2, 3, 1, 4, top=False), Transfer(4)])
def test_parts_round_trip(layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_saved_and_loaded(name: str, tmp_path) -> None:
    body = BODIES[name]()
    shape = (3, 5) if name == "stem" else (5,)
    network = keras.Sequential([keras.Input(shape), body])
    features = np.random.default_rng(0).normal(size=(7, *shape)).astype("float32")
    expected = numbers(network(features))
    assert expected.shape == (7, 2, 2)
    assert {weight.shape[0] for weight in body.reads} == {5}, "what reads features, and can follow their names"
    network.save(tmp_path / "body.keras")
    again = keras.saving.load_model(tmp_path / "body.keras")
    assert again.layers[-1].get_config() == body.get_config()
    np.testing.assert_array_equal(numbers(again(features)), expected)
