"""Members of item-item weights: each by hand or by its textbook formula, and what they make of a history."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fusion_data import TASKS, other_night
from make_dataset import DAY, make_dataset
from scipy.sparse import csr_array

from triad.config.similarity import LinearParams, SimilarityParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import Streams
from triad.members import ease as module
from triad.members import pairs as pair_counts
from triad.members.attributes import attribute_cosine
from triad.members.bench import Bench
from triad.members.ease import ease, successors
from triad.members.kindred import lent
from triad.members.linear import WEIGHTS, Linear
from triad.members.mask_seen import MaskSeen
from triad.members.own_history import OwnHistory
from triad.members.pairs import keep_largest
from triad.members.popularity import Popularity
from triad.members.protocol import Retriever, RowScorer
from triad.members.registry import load_member
from triad.members.transitions import transitions

PARAMS = SimilarityParams(linear=LinearParams(ridge=2.0))


@pytest.fixture(scope="module")
def data():
    return make_dataset(150, 48, 0)


@pytest.fixture(scope="module")
def small(data) -> Dataset:
    """Users who take 0 1 2, 1 2, 0 2 0; the last one's last step lies after train."""
    item = np.array([0, 1, 2, 1, 2, 0, 2, 0])
    split = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    streams = Streams(np.array([0, 3, 5, 8]), item, np.ones(8, int), np.arange(8), split)
    rows = {name: getattr(data.items, name)[:3] for name in data.items.__dataclass_fields__}
    users = {name: getattr(data.users, name)[:3] for name in data.users.__dataclass_fields__}
    return replace(data, streams=streams, items=replace(data.items, **rows), users=replace(data.users, **users))


def test_transitions_by_hand(small) -> None:
    found = transitions(small, reach=5, fade=1.0, backward=0.5, shrink=1.0, neighbours=9).toarray()
    # 0→1 once next to each other; 1→2 twice; 0→2 once at distance 2 and once at 1; counts are 2, 2, 3
    expected = np.array([[0, 1, 1.5], [0.5, 0, 2], [0.75, 1, 0]])
    count = np.sqrt(np.outer([2, 2, 3], [2, 2, 3])) + 1
    assert found == pytest.approx(expected / count)
    near = transitions(small, reach=1, fade=1.0, backward=0.0, shrink=1.0, neighbours=1).toarray()
    assert near == pytest.approx(np.array([[0, 1, 0], [0, 0, 2], [0, 0, 0]]) / count)  # of equals the first is kept


@pytest.mark.parametrize("pairs", [1, 1 << 40])
def test_nearness_is_a_targets_share_of_what_is_near(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "PAIRS", pairs)
    weights = csr_array(np.array([[0, 1.0, 3.0], [2.0, 0, 0], [0, 0, 0]]))
    own = csr_array(np.array([[1.0, 0.5, 0], [0, 0, 1.0], [0, 1.0, 0]]))  # the second state's item has nothing near
    state, target = np.array([0, 0, 1, 2, 2]), np.array([2, 0, 0, 0, 1])
    found = pair_counts.nearness(own, weights, state, target, (1.0, 2.0))
    assert found == pytest.approx(np.array([[3 / 5, 1 / 5, np.nan, 1, 0], [9 / 11, 1 / 11, np.nan, 1, 0]]), nan_ok=True)


def test_ease_is_each_items_regression_on_the_others(small) -> None:
    taken = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1]], float)
    found = ease(small, ridge=2.0, neighbours=3).toarray()
    for item in range(3):
        rest = [other for other in range(3) if other != item]
        x, y = taken[:, rest], taken[:, item]
        solved = np.linalg.solve(x.T @ x + 2 * np.eye(2), x.T @ y)
        assert found[rest, item] == pytest.approx(np.maximum(solved, 0), abs=1e-6)
    assert (np.diag(found) == 0).all()


def test_successors_are_the_ridge_of_what_follows_on_what_came_before(small) -> None:
    # steps that another one follows: 0|1 2, 0 1|2, 1|2, 0|2
    past = np.array([[1, 0, 0], [0.5, 1, 0], [0, 1, 0], [1, 0, 0]])
    future = np.array([[0, 1, 0.25], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    solved = np.linalg.solve(past.T @ past + 2 * np.eye(3), past.T @ future)
    np.fill_diagonal(solved, 0)
    found = successors(small, ridge=2.0, reach=9, past_decay=0.5, future_decay=0.25, neighbours=3).toarray()
    assert found == pytest.approx(np.maximum(solved, 0), abs=1e-6)


def test_only_the_largest_weights_are_kept() -> None:
    dense = np.array([[3, 1, 2], [-1, 0, -2], [5, 5, 4]], np.float32)
    assert keep_largest(dense, 2).toarray().tolist() == [[3, 0, 2], [0, 0, 0], [5, 5, 0]]
    assert keep_largest(dense, 9).toarray().tolist() == np.maximum(dense, 0).tolist()


def test_a_catalogue_too_large_for_a_dense_matrix_is_refused(small, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 2)
    with pytest.raises(TriadError, match=r"3 items, of 2"):
        ease(small, ridge=1.0, neighbours=1)


def test_attributes_by_hand(data) -> None:
    items = replace(
        data.items,
        **{name: getattr(data.items, name)[:3] for name in ("item_id", "vocabulary_row", "log_price")},
        category=np.zeros((3, 1), int),
        brand=np.array([1, 1, 0]),
        tokens=np.array([[1, 2], [2, 0], [3, 1]]),
    )
    found = attribute_cosine(replace(data, items=items), neighbours=3).toarray()
    common, rare = np.log(3 / 2), np.log(3)  # brand 1 and words 1, 2 stand on two items each, word 3 on one
    first, second, third = np.array([1, 1, 1, 0]) * common, np.array([1, 0, 1, 0]) * common, np.r_[0, common, 0, rare]
    length = np.linalg.norm
    assert found[0, 1] == pytest.approx(first @ second / length(first) / length(second))
    assert found[0, 2] == pytest.approx(first @ third / length(first) / length(third))
    assert found[1, 2] == 0 and (np.diag(found) == 0).all()


def test_what_follows_one_item_is_lent_to_its_kin_by_hand() -> None:
    follows = csr_array(np.array([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]))  # 1 follows 0
    alike = np.array([[0.0, 0, 3], [0, 0, 1], [1, 1, 0]])  # 2 is like 0 and like 1
    spread = np.eye(3) + 0.5 * alike / alike.sum(axis=1, keepdims=True)
    expected = spread @ follows.toarray() @ spread
    assert expected[2, 1] > 0 and expected[0, 2] > 0  # what no pair showed: 1 after 2, and 2 after 0
    np.fill_diagonal(expected, 0)
    assert lent(follows, csr_array(alike), neighbours=3).toarray() == pytest.approx(expected)
    best = lent(follows, csr_array(alike), neighbours=1).toarray()
    assert best[0] == pytest.approx([0, expected[0, 1], 0]) and (np.count_nonzero(best, axis=1) <= 1).all()
    nothing = lent(follows, csr_array((3, 3)), neighbours=3)
    assert (nothing.toarray() == follows.toarray()).all()  # without attributes, what was counted


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_ranks_as_a_distribution_and_lives_through_a_night(data, name, tmp_path) -> None:
    member = Linear.fit(data, WEIGHTS[name](data, PARAMS.linear), PARAMS)
    users, history = data.lists.user[:60], data.lists.history[:60]
    ranked = member.rank(data, users, history)
    assert ranked.sum(axis=1) == pytest.approx(1)
    assert (ranked > 0).all()
    assert isinstance(member, Retriever) and not isinstance(member, RowScorer)
    member.save(tmp_path)
    again = load_member(name, tmp_path)
    order = np.random.default_rng(1).permutation(48)
    assert again.rank(other_night(data, order=order), users, history) == pytest.approx(ranked[:, order], rel=1e-4)


def replace_params(**values):
    return SimpleNamespace(similarity=PARAMS.model_copy(update=values))


def test_the_own_history_is_the_rule_of_a_hand_and_counts_items_that_train_did_not_know(data) -> None:
    bench = Bench(data, replace_params(recent=(3,), half_life_days=(2.0,)), lambda: None)
    member = OwnHistory.make(bench, "own_history")
    query = int(np.argmax(data.lists.history))
    user, done = int(data.lists.user[query]), int(data.lists.history[query])
    steps = np.arange(data.streams.offsets[user], data.streams.offsets[user] + done)
    begins = np.flatnonzero(np.diff(data.streams.time[steps], prepend=0) >= DAY / 48)
    steps = steps[begins[-3] :]  # the last three visits
    items, time = data.streams.item[steps], data.streams.time[steps]
    weight = 0.5 ** ((time[-1] - time) / DAY / 2)
    if member.look.once:
        visit = np.searchsorted(begins, steps - data.streams.offsets[user], side="right")
        again = [
            (v, i) in list(zip(visit, items, strict=True))[:n]
            for n, (v, i) in enumerate(zip(visit, items, strict=True))
        ]
        weight[again] = 0
    expected = np.bincount(items, weight / weight.sum(), minlength=48) ** member.power
    expected *= (1 - member.floor) / expected.sum()
    share = Popularity.fit(data, TASKS).rank(data, np.zeros(1, int), np.ones(1, int))[0]
    asked = np.array([user]), np.array([done])
    assert member.rank(data, *asked)[0] == pytest.approx(expected + member.floor * share, rel=1e-4)
    known = np.flatnonzero(np.arange(48) != items[-1])
    lacks = replace(
        member, item_id=member.item_id[known], weights=member.weights[known][:, known], share=member.share[known]
    )
    again = lacks.rank(data, *asked)[0]
    assert again[items[-1]] > (1 - member.floor) * weight[-1] / weight.sum() / 2


def test_what_is_learnt_beats_popularity_and_chooses_on_validation_alone(data) -> None:
    member = Linear.fit(data, WEIGHTS["transitions"](data, PARAMS.linear), PARAMS)
    rows = data.rows("fusion", "lists")
    rows = rows[np.diff(data.lists.offsets)[rows] == 1]
    users, history = data.lists.user[rows], data.lists.history[rows]
    place = np.arange(len(rows)), data.lists.target[data.lists.offsets[rows]]
    naive = Popularity.fit(data, TASKS, half_life_days=14).rank(data, users, history)
    assert np.log(member.rank(data, users, history)[place]).mean() > np.log(naive[place]).mean() + 0.1
    later = data.streams.split > 1
    other = replace(data, streams=replace(data.streams, item=np.where(later, 0, data.streams.item)))
    again = Linear.fit(other, WEIGHTS["transitions"](other, PARAMS.linear), PARAMS)
    assert (again.power, again.floor, again.look) == (member.power, member.floor, member.look)
    assert (again.weights != member.weights).nnz == 0


def test_refitting_keeps_what_was_chosen(data) -> None:
    member = Linear.fit(data, WEIGHTS["transitions"](data, PARAMS.linear), PARAMS)
    more = replace(data, streams=replace(data.streams, split=np.where(data.streams.split < 3, 0, 3)))
    again = member.relearned(more, WEIGHTS["transitions"](more, PARAMS.linear))
    assert (again.power, again.floor, again.look) == (member.power, member.floor, member.look)
    assert again.weights.nnz > member.weights.nnz


def test_what_was_taken_is_left_out(data) -> None:
    member = Popularity.fit(data, TASKS, half_life_days=14)
    users, history = data.lists.user[:20], data.lists.history[:20]
    found = MaskSeen(member).rank(data, users, history)
    plain = member.rank(data, users, history)
    for row, (user, steps) in enumerate(zip(users, history, strict=True)):
        start = data.streams.offsets[user]
        seen = np.unique(data.streams.item[start : start + steps])
        assert (found[row, seen] == 0).all()
        rest = np.setdiff1d(np.arange(48), seen)
        assert found[row, rest] == pytest.approx(plain[row, rest] / plain[row, rest].sum())
