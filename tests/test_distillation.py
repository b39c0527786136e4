"""Mutual distillation: the divergence by hand, and networks that come to agree without losing what they know."""

import numpy as np
import pytest
from keras import ops
from make_dataset import make_dataset
from pydantic import ValidationError
from scipy.special import softmax

from triad.config.pretrain import PretrainParams, TrunkParams
from triad.config.runtime import RuntimeParams
from triad.members.sequence import Sequence
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.training import pretraining
from triad.training.distillation import Peers, divergence, make_joint_loss
from triad.training.pretraining_feeds import TargetFeed
from triad.training.runtime import settle

SMALL = TrunkParams(dim=16, layers=1, heads=2, max_steps=8)
PARAMS = PretrainParams(trunk=SMALL, batch_targets=128, max_epochs=2, learning_rate=0.01, choose_by="loss")


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


def test_the_joint_loss_by_hand(data) -> None:
    quiet = SMALL.model_copy(update={"dropout": 0.0, "id_dropout": 0.0})
    peers = Peers([SequenceNetwork(trunk_config(data, quiet)) for _ in range(2)])
    feed = TargetFeed(data, PARAMS)
    _, batch = feed.build(feed.plan(0)[0], 0, 0)
    p = [softmax(np.asarray(each, np.float64), axis=1) for each in peers(batch)]
    real, row = batch["mask"] > 0, np.arange(len(batch["mask"]))
    total = 0.0
    for own, other in ((0, 1), (1, 0)):
        entropy = -np.log(p[own][row, batch["candidate"]])
        apart = (p[other] * np.log(p[other] / p[own])).sum(axis=1)
        assert apart[real].mean() > 1e-5, "peers that agree would show nothing"
        total += entropy[real].mean() + 0.5 * apart[real].mean()
    loss, parts = make_joint_loss(peers, 0.5)(batch)
    assert float(loss) == pytest.approx(total, rel=1e-6)
    assert set(parts) == {"peer_1", "apart_1", "peer_2", "apart_2"}


@pytest.mark.proof
def test_peers_come_to_agree_and_lose_nothing_by_it(data, runtime, monkeypatch) -> None:
    """What `pretrain_network` gives is the first; its peer is caught on the way."""
    users, history = data.lists.user[:50], data.lists.history[:50]
    caught = []
    monkeypatch.setattr(pretraining, "Peers", lambda networks: caught.append(Peers(networks)) or caught[-1])

    def taught(weight: float) -> tuple[float, float]:
        first, told = pretraining.pretrain_network(data, PARAMS.model_copy(update={"peer_weight": weight}), runtime)
        assert caught[-1].networks[0] is first.network
        one, other = (Sequence(each).rank(data, users, history) for each in caught[-1].networks)
        return float((one * np.log(one / other)).sum(axis=1).mean()), told[-1]["validation_loss"]

    apart, alone = taught(1e-9)
    together, joint = taught(1.0)
    assert together < 0.8 * apart
    assert joint == pytest.approx(alone, abs=0.2)


def test_what_cannot_be_trained_together_is_refused() -> None:
    for wrong in ({"loss": "gbce"}, {"task": "masked"}):
        with pytest.raises(ValidationError, match="peer_weight goes with loss: softmax and task: next"):
            PretrainParams(peer_weight=1.0, **wrong)
