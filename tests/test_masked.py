"""Masked interactions: what is hidden, who hears whom, and that the trunk read causally stays what it was."""

import numpy as np
import pytest
from keras import ops
from make_dataset import make_dataset, of_two_users
from test_training import PARAMS, RUNTIME

from triad.examples.dataset import Dataset
from triad.models.batches import HiddenBatches
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.training.pretraining import item_loss, pretrain_network
from triad.training.pretraining_feeds import InTurn, TargetFeed, targets


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def short(data) -> Dataset:
    """Two users: items 3 5 3 7, and 2 9."""
    return of_two_users(data, [10, 20, 30, 40, 10, 20])


def test_an_item_is_hidden_wherever_its_segment_holds_it(short) -> None:
    found = targets(short, "train", masked=True)
    assert list(zip(found.user, found.history, found.item, strict=True)) == [
        (0, 1, 3), (0, 2, 5), (0, 3, 3), (0, 4, 7), (1, 1, 2), (1, 2, 9)
    ]  # fmt: skip
    batches = HiddenBatches(short, found.user, found.history, found.item, max_steps=6, slots=6)
    order = batches.pack()
    chosen = np.concatenate([part for part, _ in order])
    batch = batches.build(chosen, np.array([2, 5]))  # the second 3 of the first user, the 9 of the other
    assert batch["hidden"].tolist() == [[True, False, True, False, False, False], [False, True] + [False] * 4]
    assert batch["step"][:2].tolist() == [3, 2] and batch["mask"].sum() == 2


def test_each_epoch_hides_a_share_anew(data) -> None:
    feed = TargetFeed(data, PARAMS.pretrain, masked=True)
    plans = [np.concatenate([rows for _, rows in feed.plan(epoch)]) for epoch in (0, 1, 0)]
    whole = len(targets(data, "train").item)
    assert feed.examples == round(0.2 * whole) and len(plans[0]) == pytest.approx(0.2 * whole, rel=0.15)
    assert np.array_equal(plans[0], plans[2]) and set(plans[0]) != set(plans[1])
    both = InTurn(data, PARAMS.pretrain)
    numbers = [number for number, _ in both.plan(0)]
    assert both.examples == whole + feed.examples and set(numbers) == {0, 1}
    assert numbers != sorted(numbers), "the two are mixed"
    assert "hidden" in both.build(next(one for one in both.plan(0) if one[0] == 1), 0, 0)[1]


def test_who_hears_whom(short) -> None:
    network = SequenceNetwork(trunk_config(short, PARAMS.pretrain.trunk.model_copy(update={"max_steps": 6})))
    found = targets(short, "train", masked=True)
    batches = HiddenBatches(short, found.user, found.history, found.item, max_steps=6, slots=6)
    chosen = np.concatenate([part for part, _ in batches.pack()])
    batch = batches.build(chosen, np.array([1]))  # item 5 of the first user is asked for

    def states(**changes):
        return ops.convert_to_numpy(network.trunk({**batch, **changes})[0])[0]

    plain, other = states(), np.array(batch["item"])
    other[0, 1] = batch["item"][0, 0]
    np.testing.assert_allclose(states(item=other), plain, atol=1e-6)  # what is hidden is not seen
    other = np.array(batch["item"])
    other[0, 3] = batch["item"][0, 0]
    assert np.abs(states(item=other)[2] - plain[2]).max() > 1e-4, "what comes later is heard"
    other = np.array(batch["item"])
    other[0, 5] = batch["item"][0, 3]
    np.testing.assert_allclose(states(item=other)[:5], plain[:5], atol=1e-6)  # padding is not
    causal = {name: value for name, value in batch.items() if name != "hidden"}
    first = ops.convert_to_numpy(network.trunk(causal)[0])[0]
    other = np.array(batch["item"])
    other[0, 3] = batch["item"][0, 0]
    again = ops.convert_to_numpy(network.trunk({**causal, "item": other})[0])[0]
    np.testing.assert_allclose(again[:4], first[:4], atol=1e-6)  # read causally, nothing later is


@pytest.mark.parametrize("task", ["masked", "both"])
def test_it_learns(task: str) -> None:
    data = make_dataset(users=150)
    dials = {"task": task, "hidden_share": 0.4, "loss": "softmax", "max_epochs": 4, "learning_rate": 0.01}
    dials |= {"choose_by": "loss"}
    member, history = pretrain_network(data, PARAMS.pretrain.model_copy(update=dials), RUNTIME)
    popular = np.bincount(targets(data, "train").item, minlength=40) + 1.0
    held_out = targets(data, "validation", masked=task == "masked")
    naive = -np.log(popular / popular.sum())[held_out.item].mean()
    best = min(row["validation_loss"] for row in history)
    assert item_loss(member, data, held_out, masked=task == "masked") == pytest.approx(best, rel=1e-5)
    assert best < naive - 0.02
    assert np.isfinite(member.logits(data, data.lists.user, data.lists.history)).all()
