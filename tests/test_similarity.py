"""The item-similarity member: hand-computed neighbours, a ranking that is a distribution, no leak, any night."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_chance, make_vectors, other_night, rows_of, with_other_future
from make_dataset import make_dataset
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from triad.config.similarity import SimilarityParams
from triad.errors import TriadError
from triad.features.dataset import Streams
from triad.members.history import item_weights
from triad.members.item_similarity import FEATURES, Similarity
from triad.members.narrow import narrow
from triad.members.pairs import item_neighbours
from triad.members.popularity import Popularity

PARAMS = SimilarityParams()


@pytest.fixture(scope="module")
def data():
    return make_dataset(150, 48, 0)


@pytest.fixture(scope="module")
def member(data):
    return Similarity.fit(data, make_vectors(data), TASKS, PARAMS)


def test_neighbours_by_hand(data) -> None:
    # users take {0, 1}, {0, 1, 2, 2}, {2}; the last user's step lies after train
    item = np.array([0, 1, 0, 1, 2, 2, 2, 0])
    split = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    streams = Streams(np.array([0, 2, 6, 8]), item, np.ones(8, int), np.arange(8), split)
    small = replace(data, streams=streams)
    found = item_neighbours(small, neighbours=10, shrink=1.0).toarray()[:3, :3]
    one, half = 2 / (2 + 1), 1 / (2 + 1)
    assert found == pytest.approx(np.array([[0, one, half], [one, 0, half], [half, half, 0]]))
    kept = item_neighbours(small, neighbours=1, shrink=1.0)
    assert np.diff(kept.indptr)[:3].tolist() == [1, 1, 1]
    assert kept.toarray()[0, 1] == pytest.approx(one)


def test_it_beats_chance_where_there_is_something_to_find(data, member) -> None:
    rows = data.rows("fusion")
    scores = member.predict(data, rows)
    assert set(scores) == {"click", "conversion"} == set(member.tasks)
    assert roc_auc_score(data.labels("click")[rows], scores["click"]) > 0.7
    assert roc_auc_score(data.labels("conversion")[rows], scores["conversion"]) > 0.6


def test_the_ranking_is_a_distribution_and_beats_popularity(data, member) -> None:
    rows = data.rows("fusion", "lists")
    rows = rows[np.diff(data.lists.offsets)[rows] == 1]
    users, history, target = data.lists.user[rows], data.lists.history[rows], data.lists.offsets[rows]
    ranked = member.rank(data, users, history)
    assert ranked.shape == (len(rows), 48)
    assert ranked.sum(axis=1) == pytest.approx(1)
    assert (ranked > 0).all()
    naive = Popularity.fit(data, TASKS, half_life_days=14).rank(data, users, history)
    place = np.arange(len(rows)), data.lists.target[target]
    assert np.log(ranked[place]).mean() > np.log(naive[place]).mean() + 0.2
    new = member.rank(data, users[:1], np.zeros(1, int))[0]  # a user who did nothing yet
    assert new == pytest.approx(member._space(data).share)


def test_it_learns_nothing_from_pure_chance() -> None:
    """In train rows neighbours contain the row's own click; a fit there is fooled, this one is not."""
    data = make_chance()
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
    member = Similarity.fit(data, vectors, {"click": TASKS["click"]}, PARAMS)
    train, later = rows_of(data, "train"), rows_of(data, "fusion", "test")
    label = data.labels("click")
    columns = [FEATURES.index("neighbours"), FEATURES.index("popularity")]
    features = member.features(data, train)[:, columns]
    fooled = LogisticRegression().fit(features, label[train])
    assert roc_auc_score(label[train], fooled.predict_proba(features)[:, 1]) > 0.55  # the leak is real
    prior = log_loss(label[later], np.full(len(later), label[train].mean()))
    wrong = log_loss(label[later], fooled.predict_proba(member.features(data, later)[:, columns])[:, 1])
    assert log_loss(label[later], member.predict(data, later)["click"]) < min(prior + 0.003, wrong)


def test_what_comes_after_is_not_seen(data, member) -> None:
    rows = data.rows("validation")[::7]
    changed = with_other_future(data, rows)
    assert (member.features(data, rows) == member.features(changed, rows)).all()


def test_later_splits_do_not_reach_the_neighbours(data, member) -> None:
    item = np.where(data.streams.split > 0, 0, data.streams.item)
    other = replace(data, streams=replace(data.streams, item=item))
    fitted = Similarity.fit(other, make_vectors(data), {}, PARAMS)
    assert (fitted.neighbours != member.neighbours).nnz == 0
    assert (fitted.share == member.share).all()


def test_another_night_has_other_rows_but_the_same_scores(data, member, tmp_path) -> None:
    member.save(tmp_path)
    again = Similarity.load(tmp_path)
    order = np.random.default_rng(1).permutation(48)
    later = other_night(data, order=order)
    rows = data.rows("test")
    before, after = member.predict(data, rows), again.predict(later, rows)
    for task in member.tasks:
        assert after[task] == pytest.approx(before[task], abs=1e-6)
    users, history = data.lists.user[:9], data.lists.history[:9]
    assert again.rank(later, users, history) == pytest.approx(member.rank(data, users, history)[:, order], abs=1e-6)

    grown = other_night(data, order=order, unknown=3)
    assert again.predict(grown, rows)["click"] == pytest.approx(before["click"], abs=0.02)
    ranked = again.rank(grown, users, history)
    assert ranked.sum(axis=1) == pytest.approx(1)
    assert (ranked[:, :3] > 0).all()


def test_two_fits_are_the_same(data, member) -> None:
    again = Similarity.fit(data, make_vectors(data), TASKS, PARAMS)
    assert again.logits == member.logits
    assert again.blend == member.blend


def test_few_positives_get_a_strong_ridge_and_none_are_refused(data) -> None:
    labels = data.exposures.labels.copy()
    rows = data.rows("validation")
    labels[rows, 0] = 0
    few = data.replaced(exposures=replace(data.exposures, labels=labels))
    tasks = {"click": TASKS["click"]}
    with pytest.raises(TriadError, match=r"task click, split validation: all .* labels are 0"):
        Similarity.fit(few, make_vectors(data), tasks, PARAMS)
    labels[rows[0], 0] = 1
    score = Similarity.fit(few, make_vectors(data), tasks, PARAMS).predict(data, data.rows("test"))["click"]
    assert score.max() < 0.2


def test_many_queries_are_sampled_and_none_give_equal_parts(data) -> None:
    few = Similarity.fit(data, make_vectors(data), {}, SimilarityParams(max_queries=50))
    assert sum(few.blend.weight) == pytest.approx(1)
    chance = make_chance(20, 30)
    none = Similarity.fit(chance, make_vectors(chance), {}, PARAMS)
    assert none.blend.weight == (0.25, 0.25, 0.25, 0.25)


def test_item_knn_is_its_neighbours_alone(data, member) -> None:
    plain = member.item_knn()
    users, history = data.lists.user[:50], data.lists.history[:50]
    found = plain.rank(data, users, history)
    assert plain.tasks == () and found.sum(axis=1) == pytest.approx(1)
    states = member.look.back(data, users, history)
    near = (item_weights(data, states) @ member._space(data).neighbours).toarray()[states.inverse]
    scored = near.max(axis=1) > 0
    assert scored.any()
    assert (found.argmax(axis=1) == near.argmax(axis=1))[scored].all()
    assert not np.allclose(found, member.rank(data, users, history))


def test_both_factors_of_its_products_are_of_one_type_so_that_none_is_copied(data, member) -> None:
    users = np.arange(9)
    history = np.diff(np.asarray(data.streams.offsets))[:9]
    weight, near = item_weights(data, member.look.back(data, users, history)), member.align(data)[0].neighbours
    for part in ("data", "indices", "indptr"):
        assert getattr(weight, part).dtype == getattr(near, part).dtype
    wide = csr_array((near.data, *(each.astype(np.int64) for each in (near.indices, near.indptr))), shape=near.shape)
    assert narrow(wide).indices.dtype == np.int32 and (narrow(wide) != near).nnz == 0 and narrow(near) is near
