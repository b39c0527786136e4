"""Mutual distillation: the divergence by hand, and networks that come to agree without losing what they know."""

import numpy as np
import pytest
from keras import ops
from make_dataset import make_dataset
from scipy.special import softmax

from triad.config.pretrain import PretrainParams, TrunkParams
from triad.config.runtime import RuntimeParams
from triad.errors import TriadError
from triad.training.distillation import divergence, train_peers
from triad.training.runtime import settle

SMALL = TrunkParams(dim=16, layers=1, heads=2, max_steps=8)
PARAMS = PretrainParams(trunk=SMALL, batch_targets=128, max_epochs=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def data():
    return make_dataset()


@pytest.fixture(scope="module")
def runtime():
    return settle(RuntimeParams(xla="off"), 1)


def test_divergence_by_hand() -> None:
    teacher, student = np.array([[0.0, 1.0, 2.0], [1, 1, 1]]), np.array([[2.0, 0.0, 1.0], [1, 1, 1]])
    p, q = softmax(teacher, axis=1), softmax(student, axis=1)
    assert np.asarray(divergence(teacher, student)) == pytest.approx((p * np.log(p / q)).sum(axis=1), abs=1e-6)


def test_no_gradient_reaches_the_teacher() -> None:
    import tensorflow as tf

    teacher, student = tf.Variable([[0.0, 1.0]]), tf.Variable([[1.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = ops.sum(divergence(teacher, student))
    of_teacher, of_student = tape.gradient(loss, [teacher, student])
    assert of_teacher is None
    assert of_student.numpy()[0] == pytest.approx(softmax([1.0, 0.0]) - softmax([0.0, 1.0]))


def test_peers_come_to_agree_and_lose_nothing_by_it(data, runtime) -> None:
    trunks = [SMALL, SMALL.model_copy(update={"dim": 8})]
    apart, alone = train_peers(data, PARAMS, runtime, trunks=trunks, weight=0.0)
    together, joint = train_peers(data, PARAMS, runtime, trunks=trunks, weight=1.0)
    assert [member.network.trunk.dim for member in together] == [16, 8]
    users, history = data.queries.user[:50], data.queries.history[:50]

    def distance(members) -> float:
        one, other = (member.rank(data, users, history) for member in members)
        return float((one * np.log(one / other)).sum(axis=1).mean())

    assert distance(together) < 0.8 * distance(apart)
    assert joint[-1]["validation_loss"] < joint[0]["validation_loss"]
    assert joint[-1]["validation_peer_1"] == pytest.approx(alone[-1]["validation_peer_1"], abs=0.2)


def test_what_cannot_be_trained_together_is_refused(data, runtime) -> None:
    with pytest.raises(TriadError, match=r"1 network"):
        train_peers(data, PARAMS, runtime, trunks=[SMALL], weight=1.0)
    with pytest.raises(TriadError, match="no belief over the whole catalogue"):
        train_peers(data, PARAMS.model_copy(update={"loss": "gbce"}), runtime, trunks=[SMALL, SMALL], weight=1.0)
    other = SMALL.model_copy(update={"max_steps": 4})
    with pytest.raises(TriadError, match=r"trunks read \[4, 8\] steps"):
        train_peers(data, PARAMS, runtime, trunks=[SMALL, other], weight=1.0)
