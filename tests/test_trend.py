"""The shop's latest takings in the logits: the counts by hand, causality, every loss, days, the index, warm starts."""

from dataclasses import replace

import numpy as np
import pytest
from make_dataset import make_dataset, of_two_users
from test_training import PARAMS

from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.mask_seen import MaskSeen
from triad.members.sequence import Sequence
from triad.models.networks import SequenceNetwork
from triad.models.own_items import DAY
from triad.models.trend import Trend
from triad.models.trunk import trunk_config
from triad.models.warm_start import InitialModel, warm_start_sequence
from triad.training.pretraining import make_loss
from triad.training.pretraining_feeds import TargetFeed

SPANS = (2, 7)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def member(data) -> Sequence:
    return Sequence(network_of(data))


def network_of(data: Dataset, trend: tuple[int, ...] = SPANS, own_items: int = 256, seed: int = 0) -> SequenceNetwork:
    """One whose term has learned something of states."""
    network = SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk), own_items, trend)
    random = np.random.default_rng(seed)
    if network.trend is not None:
        network.trend.set_weights([random.normal(0, 0.5, w.shape) for w in network.trend.get_weights()])
    return network


def asked(data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.asarray(each) for each in (data.lists.user, data.lists.history, data.lists.time))


def test_counts_by_hand(data) -> None:
    """Items 3 and 5 on day 0, 3 on day 7, 7 on day 8; another user takes 2 and 9 at 5 µs of day 0."""
    trend = Trend(of_two_users(data, [0, 0, 7 * DAY, 8 * DAY, 5, 5]), SPANS)
    day = trend.day(np.array([0, DAY, 8 * DAY - 1, 8 * DAY, 9 * DAY, 99 * DAY]), 6)
    assert day.tolist() == [0, 1, 7, 8, 9, 9] and trend.day(None, 2).tolist() == [9, 9]
    taken = np.round(np.expm1(trend.of(np.array([0, 1, 8, 9]))), 5)
    assert not taken[0].any()
    assert taken[1, [3, 5, 2, 9, 7]].tolist() == [[1, 1]] * 4 + [[0, 0]]
    assert taken[2, [3, 5]].tolist() == [[1, 1], [0, 0]]  # day 0 is eight days ago
    assert taken[3, [3, 7, 5]].tolist() == [[1, 1], [1, 1], [0, 0]]


def test_a_list_reads_no_taking_of_its_own_day_or_later(data, member) -> None:
    users, history, moment = asked(data)
    row = int(np.argsort(moment)[len(moment) // 2])
    one = (users[[row]], history[[row]])
    item = np.array(data.streams.item)
    item[np.asarray(data.streams.time) >= moment[row] // DAY * DAY] = 0
    mine = slice(data.streams.offsets[users[row]], data.streams.offsets[users[row]] + history[row])
    item[mine] = data.streams.item[mine]  # what the user did that day is known
    later = replace(data, streams=replace(data.streams, item=item))
    known, next_week = moment[[row]], moment[[row]] + 7 * DAY
    np.testing.assert_allclose(
        member.logits(data, *one, moment=known), member.logits(later, *one, moment=known), atol=1e-6
    )
    assert (
        np.abs(member.logits(data, *one, moment=next_week) - member.logits(later, *one, moment=next_week)).max() > 0.1
    )


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_a_batch_ranks_as_the_member_does(loss: str) -> None:
    data = make_dataset(items=600)  # more than a batch names
    network = network_of(data)
    dials = {"loss": loss, "negatives": 100, "batch_targets": 16, "trend": SPANS}
    feed = TargetFeed(data, PARAMS.pretrain.model_copy(update=dials))
    planned = feed.plan(0)[0]
    count, batch = feed.build(planned, 0, 0)
    taken = feed.asked.take(planned[1])
    expected = Sequence(network).logits(data, taken.user, taken.history, moment=taken.time)
    found = np.asarray(network.logits(batch))[:count]
    np.testing.assert_allclose(
        found[np.arange(count), batch["candidate"][:count]], expected[np.arange(count), taken.item], atol=1e-4
    )
    assert (batch["taken_lately"] > 0).any() and np.isfinite(
        float(make_loss(network, loss, np.zeros(600, bool))(batch)[0])
    )


def test_masked_interactions_read_no_trend(data) -> None:
    feed = TargetFeed(data, PARAMS.pretrain.model_copy(update={"trend": SPANS}), masked=True)
    assert "taken_lately" not in feed.build(feed.plan(0)[0], 0, 0)[1]


def test_each_query_is_asked_on_its_own_day(data, member) -> None:
    """All at once, or one by one; and without a moment after all that is known."""
    users, history, moment = asked(data)
    together = member.open_at(data, users, history, moment)(slice(None)).table()
    assert len(np.unique(moment // DAY)) > 3
    for row in range(0, len(users), 20):
        part = slice(row, row + 1)
        alone = member.open_at(data, users[part], history[part], moment[part])(slice(None)).table()
        np.testing.assert_allclose(together[part], alone, atol=1e-6)
    now = np.full(len(users), np.asarray(data.streams.time).max() + DAY)
    np.testing.assert_allclose(
        member.rank(data, users, history), member.open_at(data, users, history, now)(slice(None)).table(), atol=1e-7
    )
    masked = MaskSeen(member).open_at(data, users, history, moment)(slice(None)).table()
    assert np.abs(masked - MaskSeen(member).rank(data, users, history)).max() > 1e-3


def test_an_index_of_the_day_answers_as_the_table_does() -> None:
    pytest.importorskip("faiss")
    data = make_dataset(items=600)
    member, (users, history, moment) = Sequence(network_of(data)), asked(data)
    opens, now = member.indexed(data), np.full(len(users), moment.max())
    exact = member.open_at(data, users, history, now)(slice(None)).table()
    best = opens(data, users, history, now)(slice(None)).best(5)
    hits = [len(set(row) & set(np.argsort(-each)[:5])) for row, each in zip(best, exact, strict=True)]
    assert np.mean(hits) > 4
    several = opens(data, users, history, moment)(slice(None)).table()
    np.testing.assert_allclose(several, member.open_at(data, users, history, moment)(slice(None)).table(), atol=1e-7)


def test_a_network_that_knows_none_counts_nothing(data, monkeypatch) -> None:
    """The table of days and items is made anew for each log, so for each request online."""
    monkeypatch.setattr("triad.members.sequence.Trend", lambda *_: pytest.fail("counted"))
    users, history, moment = asked(data)
    assert np.isfinite(Sequence(network_of(data, ())).logits(data, users, history, moment=moment)).all()


def test_it_is_saved_and_it_starts_warm(data, member, tmp_path) -> None:
    users, history, moment = asked(data)
    expected = member.logits(data, users, history, moment=moment)
    member.save(tmp_path)
    np.testing.assert_array_equal(Sequence.load(tmp_path).logits(data, users, history, moment=moment), expected)
    origin = {name: np.arange(count) for name, count in data.meta.vocabulary_rows.items()}
    again = network_of(data, seed=1)
    assert warm_start_sequence(again, InitialModel(member.network, origin)) == []
    for ours, theirs in zip(again.trend.get_weights(), member.network.trend.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    plain, fresh = network_of(data, ()), SequenceNetwork(trunk_config(data, PARAMS.pretrain.trunk), 256, SPANS)
    assert warm_start_sequence(fresh, InitialModel(plain, origin)) == ["trend"]
    assert not any(each.any() for each in fresh.trend.get_weights())  # nothing is added until something is learned
    with pytest.raises(TriadError, match=r"pretrain.trend: is \[\], but the network .* with \[2, 7\]"):
        warm_start_sequence(plain, InitialModel(member.network, origin))
