"""Items of a user's own past: the counts by hand, causality, the rule they contain, every loss and every start."""

from dataclasses import replace

import numpy as np
import pytest
from make_dataset import make_dataset, of_two_users
from test_training import PARAMS, RUNTIME

from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.history import item_weights, look_back
from triad.members.sequence import Sequence
from triad.models.networks import SequenceNetwork
from triad.models.own_items import DAY, DAYS, OwnItems
from triad.models.trunk import trunk_config
from triad.models.warm_start import InitialModel, warm_start_sequence
from triad.training.pretraining import make_loss, pretrain_network
from triad.training.pretraining_feeds import TargetFeed, proposal

COLUMNS = (*(f"days {each}" for each in DAYS), "visits 1", "visits 3", "visits 10", "times")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def short(data) -> Dataset:
    """Two users: 3 and 5 in one visit, 3 a week later, 7 a day after that; and 2 at once with 9."""
    return of_two_users(data, [0, 0, 7 * DAY, 8 * DAY, 5, 5])


def network_of(data: Dataset, own_items: int = 256, seed: int = 0) -> SequenceNetwork:
    """One whose term has learned something, of states and of items."""
    network = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk), own_items)
    random = np.random.default_rng(seed)
    if network.own is not None:
        network.own.set_weights([random.normal(0, 0.3, w.shape) for w in network.own.get_weights()])
    return network


def test_counts_by_hand(short) -> None:
    own = OwnItems(short, 256).of(np.array([0, 0, 1, 0]), np.array([3, 0, 2, 3]))
    assert own.state.tolist() == [own.state[0], own.state[1], own.state[2], own.state[0]]
    of = {row: slice(own.start[own.state[row]], own.start[own.state[row] + 1]) for row in range(4)}
    assert own.item[of[0]].tolist() == [3, 5] and own.item[of[1]].tolist() == [] and own.item[of[2]].tolist() == [2, 9]
    ago = {"days 1": 2**-7, "days 7": 1 / 2, "visits 1": 1 / 2, "visits 3": 2 ** (-1 / 3), "times": 1}
    counts = dict(zip(COLUMNS, np.expm1(own.count[of[0]]).T, strict=True))
    for name, before in ago.items():
        assert counts[name] == pytest.approx([1 + before, before]), name
    row, pair = own.pairs()
    assert row.tolist() == [0, 0, 2, 2, 3, 3] and own.item[pair].tolist() == [3, 5, 2, 9, 3, 5]


def test_it_looks_no_further_back_than_it_is_told(short) -> None:
    own = OwnItems(short, 2)
    assert own.of(np.array([0]), np.array([4])).item.tolist() == [3, 7] and own.width == 2
    assert OwnItems(short, 256).width == 3


def test_a_state_reads_nothing_later(data) -> None:
    user = int(np.argmax(np.diff(data.streams.offsets)))
    item = np.array(data.streams.item)
    item[data.streams.offsets[user] + 12 :] = 0
    later = replace(data, streams=replace(data.streams, item=item))
    member, ask = Sequence(network_of(data)), (np.array([user, user]), np.array([12, 14]))
    one, two = member.logits(data, *ask), member.logits(later, *ask)
    np.testing.assert_allclose(one[0], two[0], atol=1e-6)
    assert np.abs(one[1] - two[1]).max() > 1e-3


def test_it_contains_the_order_by_own_frequency(data) -> None:
    network = network_of(data)
    kernel, bias, by_item = (np.zeros_like(each) for each in network.own.get_weights())
    bias[DAYS.index(30)] = 1
    network.own.set_weights([kernel, bias, by_item])
    users, history = data.lists.user, data.lists.history
    logits = Sequence(network).logits(data, users, history, np.zeros((40, network.trunk.dim), np.float32))
    states = look_back(data, users, history, recent=256, half_life_days=30)
    rule = item_weights(data, states)[states.inverse].toarray()
    own = (rule > 0).sum(axis=1)
    for row in np.flatnonzero(own):
        np.testing.assert_array_equal(np.argsort(-rule[row])[: own[row]], np.argsort(-logits[row])[: own[row]])


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "gbce"])
def test_a_batch_ranks_as_the_member_does(loss: str) -> None:
    data = make_dataset(items=600)  # more than a batch names
    network = network_of(data)
    feed = TargetFeed(data, PARAMS.pretrain.model_copy(update={"loss": loss, "negatives": 100, "batch_targets": 16}))
    planned = feed.plan(0)[0]
    count, batch = feed.build(planned, 0, 0)
    asked = feed.asked.take(planned[1])
    expected = Sequence(network).logits(data, asked.user, asked.history)
    found = np.asarray(network.logits(batch))[:count]
    row = np.arange(count)
    np.testing.assert_allclose(found[row, batch["candidate"][:count]], expected[row, asked.item], atol=1e-4)
    drawn = np.random.default_rng((1, 0, 0)).choice(600, 100, p=proposal(data, feed.asked.item, loss))
    ranked = slice(None) if loss == "softmax" else drawn
    np.testing.assert_allclose(found[:, batch["negatives"]], expected[:, ranked], atol=1e-4)
    assert len(set(drawn)) < 100 and (batch["own_count"] > 0).any()
    assert np.isfinite(float(make_loss(network, loss, np.zeros(600, bool))(batch)[0]))


def test_masked_interactions_do_not_read_their_own_answer(data) -> None:
    feed = TargetFeed(data, PARAMS.pretrain, masked=True)
    assert "own_count" not in feed.build(feed.plan(0)[0], 0, 0)[1]


def test_it_is_saved_and_it_starts_warm(data, tmp_path) -> None:
    member, ask = Sequence(network_of(data)), (data.lists.user, data.lists.history)
    expected = member.logits(data, *ask)
    member.save(tmp_path)
    np.testing.assert_array_equal(Sequence.load(tmp_path).logits(data, *ask), expected)
    origin = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    again = network_of(data, seed=1)
    assert warm_start_sequence(again, InitialModel(member.network, origin)) == []
    np.testing.assert_allclose(Sequence(again).logits(data, *ask), expected, atol=1e-5)
    plain = network_of(data, 0)
    assert warm_start_sequence(again, InitialModel(plain, origin)) == ["own items"]
    np.testing.assert_allclose(Sequence(again).logits(data, *ask), Sequence(plain).logits(data, *ask), atol=1e-5)
    with pytest.raises(TriadError, match=r"pretrain.own_items: is 0, but the network to start from was made with 256"):
        warm_start_sequence(plain, InitialModel(member.network, origin))


@pytest.mark.proof
def test_it_learns_that_users_come_back_to_their_own(data) -> None:
    """Each user takes one of two items: nothing that users share tells which."""
    random = np.random.default_rng(0)
    pairs = np.array([random.choice(40, 2, replace=False) for _ in data.users.user_id])
    user = np.repeat(np.arange(len(pairs)), np.diff(data.streams.offsets))
    loyal = replace(data, streams=replace(data.streams, item=pairs[user, random.integers(2, size=len(user))]))
    dials = [{"own_items": own, "max_epochs": 1, "choose_by": "loss"} for own in (0, 256)]
    without, with_own = (
        pretrain_network(loyal, PARAMS.pretrain.model_copy(update=each), RUNTIME)[1][-1]["validation_loss"]
        for each in dials
    )
    assert with_own < without - 0.5
