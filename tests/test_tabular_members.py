"""Members on tables: LightGBM's trees, the odds of what was taken, and the logistic member."""

from dataclasses import replace

import numpy as np
import pytest
from fusion_data import TASKS, make_vectors, other_night, rows_of, with_other_future
from make_dataset import make_dataset
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from triad.config.profile import ProfileParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.logistic import Logistic
from triad.members.protocol import Retriever, RowScorer
from triad.members.registry import load_member
from triad.members.trees import BoostedTrees
from triad.members.trees_encodings import SMOOTHING, encode, encode_train
from triad.texts import Texts

TREES = ProfileParams(trees="lightgbm", max_iterations=40, min_rows_a_leaf=20, bag_rows=0)
BINARY = {"man": TaskParams(kind="binary", label="column", column="sex")}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(150, 48, 0)


def table(taken: list[list[int]], label: list[float], users: list[int] | None = None) -> Dataset:
    """A row a list of items taken, each within one visit; the first half are train rows, the others validation."""
    data = make_dataset(10, 6, 0)
    user = np.arange(len(taken)) if users is None else np.array(users)
    offsets = np.r_[0, np.cumsum([len(row) for row in taken])]
    items = np.array([item for row in taken for item in row], np.int32)
    count = len(taken)
    zeros = np.zeros(count, np.int32)
    split = (np.arange(count) >= count // 2).astype(np.int8)
    return data.replaced(
        users=replace(
            data.users,
            user_id=Texts.of(np.arange(count).astype(str)),
            attributes=np.zeros((count, 2), int),
            signed_up_at=zeros,
            fold=split,
        ),
        streams=replace(
            data.streams, offsets=offsets, item=items, kind=np.ones(len(items), np.int8), time=np.arange(len(items)),
            split=np.zeros(len(items), np.int8),
        ),
        exposures=replace(
            data.exposures,
            event_id=Texts.of(np.arange(count).astype(str)),
            user=user.astype(np.int32),
            item=zeros,
            time=np.full(count, 10**9),
            split=split,
            history=np.diff(offsets)[user].astype(np.int32),
            context=np.zeros((count, 4), np.float32),
            labels=np.array(label, np.float32)[:, None],
            is_new_user=zeros > 0,
            is_cold_item=zeros > 0,
        ),
        meta=replace(data.meta, tasks={"exposures": ("man",)}, classes={}),
    )  # fmt: skip


def test_odds_by_hand() -> None:
    data = table([[0, 1], [0], [1], [2], [0, 3], [0], [], [5]], [1, 1, 0, 0, 1, 1, 0, 0])
    rows, place = data.rows("train"), np.arange(6)
    label = data.labels("man")[rows]
    encoding, own = encode_train(data, rows, label, place=place, classes=0, seed=0)
    rate = 0.5

    def odds(yes: int, count: int) -> float:
        return logit((yes + SMOOTHING * rate) / (count + SMOOTHING)) - logit(rate)

    assert encoding.items[:, 0] == pytest.approx([odds(2, 2), odds(1, 2), odds(0, 1), 0, 0, 0], abs=1e-6)
    columns = {c.name: c.values for c in encode(data, data.rows("validation"), place, encoding)}
    assert columns["odds_14_item_0_mean"][:2] == pytest.approx([odds(2, 2) / 2, odds(2, 2)])
    assert columns["odds_14_item_0_most"][0] == pytest.approx(odds(2, 2)) and columns["odds_14_item_0_least"][0] == 0
    assert columns["odds_14_item_0_sum"][0] == pytest.approx(odds(2, 2), abs=1e-6)
    assert columns["odds_14_item_0_known"][[0, 3]] == pytest.approx([0.5, 0])
    assert np.isnan(columns["odds_14_item_0_mean"][2])
    first = {c.name: c.values for c in own}["odds_14_item_0_most"]
    assert first[0] < odds(2, 2)  # its own label is not among what it reads


def test_odds_of_train_rows_do_not_see_their_own_label() -> None:
    random = np.random.default_rng(0)
    taken = [[int(item)] for item in random.integers(6, size=400)]
    data = table(taken, random.integers(2, size=400).tolist())
    rows = data.rows("train")
    label = data.labels("man")[rows]
    turned = label.copy()
    turned[0] = 1 - turned[0]
    place = np.arange(6)
    before, after = (
        {c.name: c.values[0] for c in encode_train(data, rows, each, place=place, classes=0, seed=0)[1]}
        for each in (label, turned)
    )
    rate = (label.mean(), turned.mean())
    shift = logit(rate[0]) - logit(rate[1])  # the overall rate alone knows it
    assert before["odds_14_item_0_mean"] == pytest.approx(after["odds_14_item_0_mean"] - shift, abs=0.01)


def test_trees_read_the_odds_and_the_member_keeps_them(tmp_path) -> None:
    random = np.random.default_rng(1)
    taken = [random.integers(6, size=3).tolist() for _ in range(800)]
    label = [float(random.random() < (0.9 if 2 in row else 0.1)) for row in taken]
    data = table(taken, label)
    member = BoostedTrees.fit(data, np.zeros((6, 1), np.float32), BINARY, TREES)
    assert any(name.startswith("odds_") for name in member.columns["man"])
    rows = data.rows("validation")
    found = member.predict(data, rows)["man"]
    assert roc_auc_score(data.labels("man")[rows], found) > 0.85
    member.save(tmp_path)
    assert (load_member("trees", tmp_path).predict(data, rows)["man"] == found).all()
    logistic = Logistic.fit(data, BINARY)
    assert roc_auc_score(data.labels("man")[rows], logistic.predict(data, rows)["man"]) > 0.85


def test_lightgbm_scores_every_kind_of_task_and_sees_no_future(data, tmp_path) -> None:
    member = BoostedTrees.fit(data, make_vectors(data), TASKS, TREES)
    rows = rows_of(data, "fusion", "test")
    found = member.predict(data, rows)
    assert set(found) == set(data.meta.tasks["exposures"]) and (found["conversion"] <= found["click"]).all()
    assert roc_auc_score(data.labels("click")[rows], found["click"]) > 0.7
    assert found["profile"].sum(axis=1) == pytest.approx(1)
    error = [np.nanmean(np.abs(data.labels("price")[rows] - each)) for each in (found["price"], 0)]
    assert error[0] < 0.7 * error[1]
    member.save(tmp_path)
    assert (BoostedTrees.load(tmp_path).predict(data, rows)["click"] == found["click"]).all()
    changed = with_other_future(data, data.rows("validation"))
    before, after = (member.predict(each, data.rows("validation")) for each in (data, changed))
    assert (before["click"] == after["click"]).all()


def test_logistic_beats_chance_keeps_and_refuses(data, tmp_path) -> None:
    member = Logistic.fit(data, TASKS)
    assert member.tasks == ("click", "conversion", "profile")
    rows = rows_of(data, "fusion", "test")
    found = member.predict(data, rows)
    assert roc_auc_score(data.labels("click")[rows], found["click"]) > 0.57  # what fits one user is no sum
    known = ~np.isnan(data.labels("profile")[rows])
    assert (found["profile"].argmax(axis=1) == data.labels("profile")[rows])[known].mean() > 0.6
    assert (found["conversion"] <= found["click"]).all() and found["profile"].sum(axis=1) == pytest.approx(1)
    assert list(member.predict(data, rows, ["conversion"])) == ["conversion"]
    member.save(tmp_path)
    later = other_night(data, order=np.random.default_rng(1).permutation(48), unknown=2)
    again = load_member("logistic", tmp_path).predict(later, rows)
    for task in found:
        assert again[task] == pytest.approx(found[task], abs=1e-9)
    assert isinstance(member, RowScorer) and not isinstance(member, Retriever)
    narrow = data.replaced(exposures=replace(data.exposures, context=data.exposures.context[:, :2]))
    with pytest.raises(TriadError, match="2 context columns and 2 attributes, fitted on 4 and 2"):
        member.predict(narrow, rows)


def test_logistic_coefficients_are_those_of_a_regression_on_the_bag() -> None:
    """One item of two, no context: the fitted odds are the rates, drawn a little to the middle."""
    data = table(
        [[0]] * 100 + [[1]] * 100 + [[0]] * 200,
        ([1.0] * 80 + [0.0] * 20) + ([1.0] * 30 + [0.0] * 70) + [1.0, 0.0] * 100,
    )
    found = Logistic.fit(data, BINARY).predict(data, np.array([0, 100]))["man"]
    assert 0.7 < found[0] < 0.8 and 0.3 < found[1] < 0.4
