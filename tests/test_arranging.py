"""The list that is shown: caps, diversity, places for new items, and when a purchase is due again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_dataset import make_dataset

from triad.config.recommend import RecommendParams
from triad.examples.dataset import Dataset
from triad.schema import EVENT_KINDS
from triad.tracking.arranging import UNKNOWN, Lists, codes
from triad.tracking.recommending import DAY, Pairs, top
from triad.tracking.repurchase import ENOUGH, lasts, not_due
from triad.tracking.shelf import Shelf

ALONE = np.full((40, 2), UNKNOWN)
"""Items of which no category and no brand is known."""


def ranked(scores: np.ndarray) -> Lists:
    """Every item a candidate of every user, (users, items) scores."""
    users, items = scores.shape
    pairs = Pairs(np.repeat(np.arange(users), items), np.tile(np.arange(items), users), scores.ravel())
    return Lists.of(*top(pairs, np.arange(items), items))


def by_hand(scores: np.ndarray, kinds: np.ndarray, params: RecommendParams) -> list[int]:
    """One user's list, item by item."""
    worth = (scores - scores.min()) / (np.ptp(scores) or 1)
    listed: list[int] = []
    while len(listed) < params.k:
        best = None
        for item in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
            shares = [np.mean([kinds[item, f] == kinds[other, f] != UNKNOWN for f in range(2)]) for other in listed]
            of = [[kinds[other, f] for other in listed].count(kinds[item, f]) for f in range(2)]
            full = [
                most is not None and kinds[item, f] != UNKNOWN and of[f] >= most
                for f, most in enumerate((params.caps.category, params.caps.brand))
            ]
            if item in listed or any(full):
                continue
            value = (1 - params.diversity) * worth[item] - params.diversity * max(shares, default=0)
            if best is None or value > best[0] + 1e-12:
                best = (value, item)
        if best is None:
            break
        listed.append(best[1])
    return listed


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([0.0, 0.25, 0.7]),
)
@settings(max_examples=60, deadline=None)
def test_each_place_goes_to_the_best_that_the_rules_allow(seed: int, category, brand, diversity) -> None:
    random = np.random.default_rng(seed)
    scores, kinds = random.random((4, 9)), random.integers(UNKNOWN, 3, (9, 2))
    params = RecommendParams(k=5, caps={"category": category, "brand": brand}, diversity=diversity)
    lists = ranked(scores).arranged(kinds, params)
    for user in range(4):
        mine = lists.pairs.user == user
        assert lists.pairs.item[mine].tolist() == by_hand(scores[user], kinds, params)
        assert lists.rank[mine].tolist() == list(range(1, mine.sum() + 1))


def test_without_rules_the_best_stand() -> None:
    lists = ranked(np.array([[0.1, 0.9, 0.5]])).arranged(np.zeros((3, 2), int), RecommendParams(k=2))
    assert lists.pairs.item.tolist() == [1, 2] and not lists.explored.any()


def test_unknown_is_like_nothing() -> None:
    assert codes(np.array(["a", "", "a"], object))[:, 0].tolist()[1] == UNKNOWN


@pytest.mark.parametrize(("share", "free", "expected"), [(0.2, 3, [5, 10]), (0.2, 1, [10]), (1.0, 3, [4, 7, 10])])
def test_new_items_are_spread_over_the_list(share: float, free: int, expected: list[int]) -> None:
    """Of ten places; new are the items 17 to 19, of which one customer may see so many."""
    lists, new = ranked(np.linspace(1, 0, 20)[None]), np.arange(17, 20)
    params = RecommendParams(k=10, new_share=share)
    shelf = Shelf(np.arange(20) < 17 + free, (np.zeros(0, int), np.zeros(0, int)))
    shown = lists[lists.rank <= 10].with_explored(new, ALONE, shelf, params, seed=1)
    assert shown.rank.tolist() == list(range(1, 11))
    assert (np.flatnonzero(shown.explored) + 1).tolist() == expected
    assert set(shown.pairs.item[shown.explored]) <= set(range(17, 17 + free))
    kept = shown.pairs.item[~shown.explored]
    assert kept.tolist() == list(range(len(kept))) and np.isnan(shown.pairs.score[shown.explored]).all()
    again = lists[lists.rank <= 10].with_explored(new, ALONE, shelf, params, seed=1)
    assert again.pairs.item.tolist() == shown.pairs.item.tolist()


def test_what_is_listed_is_not_drawn_and_another_night_draws_anew() -> None:
    lists = ranked(np.tile(np.linspace(1, 0, 40), (200, 1)))
    params, shelf = RecommendParams(k=10, new_share=0.2), Shelf(np.ones(40, bool), (np.array([3]), np.array([35])))
    cut = lists[lists.rank <= 10]
    first, second = (cut.with_explored(np.arange(8, 40), ALONE, shelf, params, seed=night) for night in (1, 2))
    drawn = first.pairs.item[first.explored]
    assert len(drawn) == 400 and drawn.min() >= 10, "8 and 9 stood in every list"
    assert (np.bincount(drawn, minlength=40)[10:] > 0).all() and (first.pairs.item != second.pairs.item).any()
    assert 35 not in first.pairs.item[first.pairs.user == 3]


def test_a_draw_is_the_customers_own_whoever_is_asked_for_beside_them() -> None:
    lists, shelf = ranked(np.tile(np.linspace(1, 0, 40), (9, 1))), Shelf(np.ones(40, bool), (np.zeros(0, int),) * 2)
    lists, params = lists[lists.rank <= 10], RecommendParams(k=10, new_share=0.5)
    together = lists.with_explored(np.arange(8, 40), ALONE, shelf, params, seed=1)
    for user in range(9):
        alone = lists[lists.pairs.user == user].with_explored(np.arange(8, 40), ALONE, shelf, params, seed=1)
        assert alone.pairs.item.tolist() == together.pairs.item[together.pairs.user == user].tolist()
    drawn = together.pairs.item[together.explored].reshape(9, 5)
    assert len({tuple(sorted(each)) for each in drawn.tolist()}) > 5


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 1, 2]), st.sampled_from([None, 1, 3]), st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_caps_hold_beside_new_items(seed: int, category, brand, share) -> None:
    random = np.random.default_rng(seed)
    scores, kinds, new = random.random((6, 40)), random.integers(UNKNOWN, 9, (40, 2)), np.arange(15, 40)
    params = RecommendParams(k=8, caps={"category": category, "brand": brand}, new_share=share)
    shelf = Shelf(np.arange(40) != 20, (np.array([3, 3]), np.array([18, 30])))
    arranged = ranked(scores).arranged(kinds, params)
    lists = arranged.with_explored(new, kinds, shelf, params, seed=1)
    for user in range(6):
        mine = lists.pairs.user == user
        item, drawn = lists.pairs.item[mine], lists.pairs.item[mine & lists.explored]
        assert len(item) == len(set(item)) <= 8 and set(drawn) <= set(new) and 20 not in drawn
        assert lists.rank[mine].tolist() == list(range(1, len(item) + 1))
        assert len(drawn) == min(round(share * 8), category or 8, brand or 8)
        for kind, most in zip(kinds.T, (category, brand), strict=True):
            known = kind[item][kind[item] != UNKNOWN]
            assert most is None or np.bincount(known, minlength=1).max() <= most
        if None in (category, brand):  # each that was drawn takes one place
            assert len(item) >= (arranged.pairs.user == user).sum()
    assert not np.isin([18, 30], lists.pairs.item[(lists.pairs.user == 3) & lists.explored]).any()


def test_all_that_may_be_drawn_are_as_likely() -> None:
    kinds = np.stack([np.arange(40) % 5, np.full(40, UNKNOWN)], axis=1)
    params = RecommendParams(k=10, caps={"category": 2}, new_share=0.2)
    shelf, new = Shelf(np.arange(40) != 33, (np.zeros(0, int),) * 2), np.arange(10, 40)
    lists = ranked(np.tile(np.linspace(1, 0, 40), (4000, 1))).arranged(kinds, params)
    free = lists.drawable(new, shelf)[0]
    shown = lists.with_explored(new, kinds, shelf, params, seed=1)
    often = np.bincount(shown.pairs.item[shown.explored], minlength=40)[10:] / 4000
    assert free.sum() == 29 and not often[~free].any()
    np.testing.assert_allclose(often[free], 2 / free.sum(), atol=0.02)


def bought(data: Dataset, steps: list[tuple[int, int, float]]) -> Dataset:
    """`data` with these purchases (user, item, day) and no other interaction."""
    steps = sorted(steps, key=lambda step: (step[0], step[2]))
    user, item, day = (np.array(column) for column in zip(*steps, strict=True))
    counts = np.bincount(user, minlength=len(data.users.user_id))
    streams = replace(
        data.streams,
        offsets=np.r_[0, np.cumsum(counts)],
        item=item,
        kind=np.full(len(steps), EVENT_KINDS.index("purchase")),
        time=(day * DAY).astype(np.int64),
        split=np.zeros(len(steps), np.int8),
    )
    return data.replaced(streams=streams)


def test_what_runs_out_is_due_after_the_time_that_usually_passes() -> None:
    data = make_dataset(users=30, items=6)
    category = np.array(data.items.category)
    category[:, 0] = [1, 1, 2, 2, 0, 0]
    data = data.replaced(items=replace(data.items, category=category))
    repeats = [(user, 0, day) for user in range(ENOUGH) for day in (0, 8 + user)]  # every 8 to 12 days
    data = bought(data, [*repeats, (20, 0, 5), (21, 1, 12), (22, 2, 0), (23, 4, 0)])
    assert lasts(data)[:2].tolist() == [10 * DAY] * 2, "the second borrows its category's"
    assert np.isinf(lasts(data)[2:]).all()
    user, item = not_due(data, 21 * DAY, repeats=lasts(data))
    waits = set(zip(user.tolist(), item.tolist(), strict=True))
    assert waits == {(4, 0), (21, 1), (22, 2), (23, 4)}
    user, item = not_due(data, 21 * DAY, repeats=None)
    assert len(user) == ENOUGH + 4


def test_a_shop_without_purchases_bars_nothing() -> None:
    data = make_dataset(users=30, items=6)
    clicks = replace(data.streams, kind=np.ones_like(data.streams.kind))
    assert len(not_due(data.replaced(streams=clicks), DAY, repeats=lasts(data))[0]) == 0
