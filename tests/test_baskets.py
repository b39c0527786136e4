"""Histories of baskets: a visit is one step in time, and customers of like histories say what is taken next."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import other_night
from make_dataset import DAY, START, make_dataset

from triad.config.similarity import SimilarityParams
from triad.examples.lists import Lists
from triad.members.bench import Bench
from triad.members.history import Look, item_weights, search_look
from triad.members.registry import load_member
from triad.members.tifu_knn import TifuKnn


@pytest.fixture(scope="module")
def data():
    return make_dataset(60, 24, 0)


def of_visits(data, visits: list[list[tuple[float, list[int]]]]):
    """`data` with these users' visits: (day, items), all of train; an item every minute."""
    steps = [[(day + n / 1440, item) for day, items in user for n, item in enumerate(items)] for user in visits]
    day, item = (np.array(column) for column in zip(*(step for user in steps for step in user), strict=True))
    size = len(item)
    streams = replace(
        data.streams,
        offsets=np.r_[0, np.cumsum([len(user) for user in steps])],
        item=item.astype(np.int32),
        kind=np.full(size, data.meta.target_kind),
        time=START + np.round(day * DAY).astype(np.int64),
        split=np.zeros(size, int),
    )
    return replace(data, streams=streams)


def weights(data, look: Look, user: int, history: int) -> np.ndarray:
    states = look.back(data, np.array([user]), np.array([history]))
    return item_weights(data, states).toarray()[states.inverse[0]]


def test_visits_are_counted_back_and_an_item_counts_once_in_each(data) -> None:
    one = of_visits(data, [[(0, [3, 3, 4]), (2, [3, 5, 5, 5]), (4, [6, 4])], [(9, [7])]])
    last = weights(one, Look(1, 1e9), 0, 9)
    assert last[[6, 4]] == pytest.approx([0.5, 0.5]) and last.sum() == pytest.approx(1)
    assert weights(one, Look(2, 1e9), 0, 9)[[3, 4, 5, 6]] == pytest.approx(np.array([1, 1, 3, 1]) / 6)
    assert weights(one, Look(2, 1e9, once=True), 0, 9)[[3, 4, 5, 6]] == pytest.approx([0.25] * 4)
    assert weights(one, Look(9, 1e9, once=True), 0, 9)[[3, 4, 5, 6]] == pytest.approx(np.array([2, 2, 1, 1]) / 6)
    assert weights(one, Look(1, 1e9), 0, 5)[[3, 5]] == pytest.approx([0.5, 0.5])  # in the middle of a visit
    aged = weights(one, Look(9, 2.0), 0, 9)  # two days are a half-life
    assert aged[6] / aged[5] == pytest.approx(2 / 3, rel=0.01)
    assert weights(one, Look(9, 1.0), 1, 0).sum() == 0


def test_a_look_is_searched_for_one_dial_after_the_other() -> None:
    looks = []

    def loss(look: Look) -> float:
        looks.append(look)
        return abs(look.recent - 5) + abs(look.half_life_days - 7) - look.once

    assert search_look((1, 5, 20), (1.0, 7.0, 60.0), loss) == Look(5, 7.0, once=True)
    assert len(looks) == len(set(looks)) == 6  # nothing is tried twice


def test_the_next_items_are_the_own_those_of_like_customers_or_popular(data) -> None:
    """By hand: two visitors of three share an item with the one who is asked about."""
    visits = [[(0, [1, 2])], [(1, [1, 3])], [(1, [1, 1, 4])], [(1, [8, 9])]]
    one = of_visits(data, visits)
    size = len(one.items.item_id)
    order = one.items.item_id.order()
    look, share = Look(9, 1e9), np.full(size, 1 / size)
    member = TifuKnn(one.items.item_id[order], share, START + 5 * DAY, 2, (0.5, 0.4, 0.1), look)
    chance = member.rank(one, np.array([0, 3]), np.array([2, 0]))
    expected = np.full(size, 0.1 / size)
    expected[[1, 2]] += 0.5 * 0.5
    expected[[1, 3]] += 0.4 * 0.5 * 0.5  # one's shares, of two neighbours
    expected[[1, 4]] += 0.4 * 0.5 * np.array([2 / 3, 1 / 3])
    assert chance[0] == pytest.approx(expected, abs=1e-6)
    assert chance[1] == pytest.approx(share)  # nothing done yet
    nearer = replace(member, neighbours=1).rank(one, np.array([0]), np.array([2]))[0]
    # cosines: 1/2 with who takes 1 and 3, sqrt(2/5) with who takes 1 twice and 4
    assert nearer[4] == pytest.approx(0.1 / size + 0.4 / 3) and nearer[3] == pytest.approx(0.1 / size)
    before = replace(member, until=START).rank(one, np.array([0]), np.array([2]))[0]
    assert before[3] == pytest.approx(0.5 / size)  # no neighbours: their part goes to the popular


def test_it_learns_how_much_to_trust_neighbours_and_is_kept(data, tmp_path) -> None:
    """Customers of two tastes repeat nothing: what comes next is what their like took."""
    random = np.random.default_rng(0)
    visits, targets = [], []
    for user in range(60):
        own = random.permutation(12) + 12 * (user % 2)
        visits.append([(float(day), own[2 * day : 2 * day + 2].tolist()) for day in range(4)])
        targets.append(own[8:10].tolist())
    one = of_visits(data, visits)
    lists = Lists(
        user=np.arange(60),
        history=np.full(60, 8),
        time=np.full(60, START + 17 * DAY),
        split=np.ones(60, int),
        offsets=np.arange(61) * 2,
        target=np.sort(np.array(targets), axis=1).ravel(),
    )
    one = one.replaced(lists=lists)
    member = TifuKnn.fit(one, SimilarityParams())
    own, near, rest = member.weight
    assert near > 0.8 > own and own + near + rest == pytest.approx(1)
    member.save(tmp_path)
    again = load_member("tifu_knn", tmp_path)
    asked = np.arange(5), np.full(5, 8)
    ranked = again.rank(one, *asked)
    assert ranked == pytest.approx(member.rank(one, *asked))
    assert ranked.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    order = np.random.default_rng(1).permutation(24)
    assert again.rank(other_night(one, order=order), *asked) == pytest.approx(ranked[:, order], rel=1e-4)
    refitted = member.refit(Bench(one, None, lambda: None), "tifu_knn")  # type: ignore[arg-type]
    assert (refitted.weight, refitted.look, refitted.neighbours) == (member.weight, member.look, member.neighbours)
