"""The member `trees`: it beats the naive one on every task, sees no future, and serves any night."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_vectors, other_night, rows_of, with_other_future
from make_dataset import make_dataset
from sklearn.metrics import log_loss, roc_auc_score

from triad.artifacts import read_json, write_json
from triad.config.profile import ProfileParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.members.popularity import Popularity
from triad.members.protocol import Retriever, RowScorer
from triad.members.trees import BoostedTrees
from triad.members.trees_boosted import count
from triad.members.trees_columns import fit_basis, table
from triad.schema import EVENT_KINDS

PARAMS = ProfileParams(max_iterations=40, min_rows_a_leaf=20)


@pytest.fixture(scope="module")
def data():
    return make_dataset(150, 48, 0)


@pytest.fixture(scope="module")
def member(data):
    return BoostedTrees.fit(data, make_vectors(data), TASKS, PARAMS)


def test_it_beats_the_naive_member_on_every_task(data, member) -> None:
    rows = rows_of(data, "fusion", "test")
    scores, naive = member.predict(data, rows), Popularity.fit(data, TASKS, half_life_days=14).predict(data, rows)
    assert set(scores) == set(member.tasks) == set(data.meta.tasks["exposures"])
    for task in scores:
        only = member.predict(data, rows, [task])
        assert list(only) == [task] and (only[task] == scores[task]).all()
    for task in ("click", "conversion"):
        assert roc_auc_score(data.labels(task)[rows], scores[task]) > 0.7
    known = ~np.isnan(data.labels("profile")[rows])
    label = data.labels("profile")[rows][known].astype(int)
    picked = scores["profile"][known]
    assert picked.sum(axis=1) == pytest.approx(1)
    assert (picked.argmax(axis=1) == label).mean() > (naive["profile"][known].argmax(axis=1) == label).mean() + 0.1
    error = [np.nanmean(np.abs(data.labels("price")[rows] - found["price"])) for found in (scores, naive)]
    assert error[0] < 0.6 * error[1]


def test_columns_by_hand(data) -> None:
    vectors = make_vectors(data)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = np.flatnonzero(data.exposures.history == 3)[0]
    columns = {c.name: c.values[0] for c in table(data, np.array([row]), vectors, fit_basis(data, vectors, 4))}
    user, item = data.exposures.user[row], data.exposures.item[row]
    steps = data.streams.offsets[user] + np.arange(3)
    age = (data.streams.time[steps[-1]] - data.streams.time[steps]) / 86_400_000_000
    weight = 0.5 ** (age / 14)
    weight /= weight.sum()
    seen = data.streams.item[steps]
    kind = EVENT_KINDS.index("purchase")
    assert columns["purchase_share"] == pytest.approx(weight @ (data.streams.kind[steps] == kind))
    assert columns["same_item"] == pytest.approx(weight @ (seen == item))
    assert columns["same_brand"] == pytest.approx(weight @ (data.items.brand[seen] == data.items.brand[item]))
    broad = data.items.category[:, 0]
    assert columns["same_category_0"] == pytest.approx(weight @ (broad[seen] == broad[item]))
    assert columns["price_level"] == pytest.approx(weight @ data.items.log_price[seen], rel=1e-5)
    level = weight @ data.items.log_price[seen]
    assert columns["price_over_level"] == pytest.approx(data.items.log_price[item] - level, rel=1e-4)
    taste = weight @ vectors[seen] / np.linalg.norm(weight @ vectors[seen])
    basis = fit_basis(data, vectors, 4)
    assert [columns[f"taste_{i}"] for i in range(4)] == pytest.approx(taste @ basis.axes, abs=1e-5)
    assert columns["steps"] == pytest.approx(np.log(4))
    hours = (data.exposures.time[row] - data.streams.time[steps[-1]]) / 3_600_000_000
    assert columns["hours_since_step"] == pytest.approx(np.log1p(hours))
    assert columns["position"] == data.exposures.context[row, 0]
    assert columns["attribute_1"] == data.users.attributes[user, 1]


def test_what_comes_after_is_not_seen(data, member) -> None:
    rows = data.rows("validation")[::7]
    changed = with_other_future(data, rows)
    for task, scores in member.predict(data, rows).items():
        assert (scores == member.predict(changed, rows)[task]).all()


def test_another_night_has_other_rows_but_the_same_scores(data, member, tmp_path) -> None:
    member.save(tmp_path)
    again = BoostedTrees.load(tmp_path)
    rows = data.rows("test")
    later = other_night(data, order=np.random.default_rng(1).permutation(48), unknown=2)
    before, after = member.predict(data, rows), again.predict(later, rows)
    for task in member.tasks:  # sums in another order move a row across a split now and then
        assert np.mean(np.abs(after[task] - before[task]) > 1e-6) < 0.01
    assert again.predict(later, rows[:0])["profile"].shape == (0, 3)


def test_what_is_given_a_click_is_a_product_with_it(data, member) -> None:
    rows = data.rows("fusion")
    found = member.predict(data, rows)
    assert (found["conversion"] < found["click"]).all()
    alone = BoostedTrees.fit(
        data, make_vectors(data), {"conversion": TASKS["conversion"]}, PARAMS
    )  # its click is not asked
    assert alone.given == {}
    label = data.labels("conversion")[rows]
    assert found["conversion"].mean() == pytest.approx(label.mean(), rel=0.25)
    assert log_loss(label, found["conversion"]) < log_loss(label, alone.predict(data, rows)["conversion"]) + 0.01


def test_what_does_not_fit_is_refused(data, member, tmp_path) -> None:
    other = replace(data, meta=replace(data.meta, context=("position", "item_click_rate", "price_gap", "weather")))
    with pytest.raises(TriadError, match=r"member trees: context is .*weather.*hours_since_last"):
        member.predict(other, data.rows("test"))
    assert isinstance(member, RowScorer) and not isinstance(member, Retriever)
    member.save(tmp_path)
    meaning = read_json(tmp_path / "trees.json")
    write_json(tmp_path / "trees.json", meaning | {"versions": {"scikit-learn": "0.1"}})
    with pytest.raises(TriadError, match=r"fitted with scikit-learn 0\.1"):
        BoostedTrees.load(tmp_path)


def test_two_fits_are_the_same(data, member) -> None:
    again = BoostedTrees.fit(data, make_vectors(data), TASKS, PARAMS)
    rows = data.rows("test")
    for task, scores in again.predict(data, rows).items():
        assert (scores == member.predict(data, rows)[task]).all()


def test_trees_stop_where_validation_stops_falling(data) -> None:
    many = ProfileParams(max_iterations=200, min_rows_a_leaf=20, patience=5, bag_rows=0)
    click = {"click": TASKS["click"]}
    (trees,) = BoostedTrees.fit(data, make_vectors(data), click, many).trees["click"]
    assert count(trees) < 200
    # validation chose: with its labels drawn by chance, there is nothing to gain and it stops at once
    labels = data.exposures.labels.copy()
    rows = data.rows("validation")
    labels[rows, 0] = np.random.default_rng(0).permutation(labels[rows, 0])
    chance = data.replaced(exposures=replace(data.exposures, labels=labels))
    (stopped,) = BoostedTrees.fit(chance, make_vectors(data), click, many).trees["click"]
    assert count(stopped) < count(trees)


def test_few_rows_are_fitted_several_times_and_averaged(data) -> None:
    click, rows = {"click": TASKS["click"]}, data.rows("test")
    labelled = int(np.isfinite(data.labels("click")[data.rows("train")]).sum())

    def fit(fits: float, seed: int) -> BoostedTrees:
        params = ProfileParams(max_iterations=20, min_rows_a_leaf=20, bag_rows=int(fits * labelled), seed=seed)
        return BoostedTrees.fit(data, make_vectors(data), click, params)

    both = fit(2, 1)
    assert len(both.trees["click"]) == 2
    assert len(fit(99, 1).trees["click"]) == 8
    alone = [fit(1, seed).predict(data, rows)["click"] for seed in (1, 2)]
    assert both.predict(data, rows)["click"] == pytest.approx(np.mean(alone, axis=0))
    assert not np.allclose(*alone)


def test_a_class_that_train_never_showed_has_a_probability(data) -> None:
    labels = data.exposures.labels.copy()
    train = data.exposures.split == 0
    labels[train & (labels[:, 2] == 1), 2] = np.nan
    labels[(data.exposures.split == 1) & (labels[:, 2] == 1), 2] = np.nan
    known = data.replaced(exposures=replace(data.exposures, labels=labels))
    scores = BoostedTrees.fit(known, make_vectors(data), {"profile": TASKS["profile"]}, PARAMS).predict(
        data, np.arange(5)
    )
    assert scores["profile"].sum(axis=1) == pytest.approx(1)
    assert (scores["profile"][:, 1] > 0).all()


def test_spend_reads_the_user_and_one_label_is_refused(data) -> None:
    spend = {"price": TaskParams(kind="regression", label="spend")}
    columns = BoostedTrees.fit(data, make_vectors(data), spend, PARAMS).columns["price"]
    assert "price_level" in columns
    assert not {"same_item", "relative_price", "brand"} & set(columns)
    labels = data.exposures.labels.copy()
    labels[:, 0] = 0
    with pytest.raises(TriadError, match=r"task click, split train: all .* labels are 0"):
        BoostedTrees.fit(
            data.replaced(exposures=replace(data.exposures, labels=labels)), make_vectors(data), TASKS, PARAMS
        )


def test_a_column_that_no_row_knows_is_left_out(data) -> None:
    context = np.array(data.exposures.context)
    context[:, 0] = np.nan  # a shop without prices, say
    blind = data.replaced(exposures=replace(data.exposures, context=context))
    member = BoostedTrees.fit(blind, make_vectors(data), {"click": TASKS["click"]}, PARAMS)
    assert data.meta.context[0] not in member.columns["click"]
    assert np.isfinite(member.predict(blind, rows_of(data, "test"))["click"]).all()


def test_trees_without_the_vectors_know_nothing_of_them(data) -> None:
    blind = PARAMS.model_copy(update={"vectors": False})
    tasks, rows = {"profile": TASKS["profile"]}, rows_of(data, "test")
    vectors = make_vectors(data)
    found = [
        BoostedTrees.fit(data, each, tasks, blind).predict(data, rows)["profile"] for each in (vectors, vectors[::-1])
    ]
    assert np.array_equal(*found) and found[0].std() > 0
    seeing = blind.model_copy(update={"vectors": True})
    assert not np.array_equal(BoostedTrees.fit(data, vectors, tasks, seeing).predict(data, rows)["profile"], found[0])
