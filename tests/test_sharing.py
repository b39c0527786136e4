"""One member's output as another's input: who scores whom, and that the giver has not met whom it scores."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from fusion_data import TASKS, make_chance, make_vectors
from make_dataset import make_dataset
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from triad.config.profile import ProfileParams
from triad.config.similarity import SimilarityParams
from triad.errors import TriadError
from triad.features.dataset import SPLITS
from triad.members.item_similarity import Similarity
from triad.members.protocol import Retriever, RowScorer
from triad.members.registry import load_member
from triad.members.sharing import share, without
from triad.members.stacked_trees import StackedTrees


@dataclass
class Counts:
    """Scores by how many users it has met."""

    met: float
    tasks: tuple = ("click",)

    def predict(self, data, rows, tasks=None):
        return {"click": np.full(len(rows), self.met)}


def fit(data):
    known = np.isin(data.exposures.split, (0, 1))
    return Counts(len(np.unique(data.exposures.user[known])) / 1000)


def test_what_is_learned_from_is_scored_out_of_fold_and_the_rest_by_all() -> None:
    data = make_dataset(100, 40, 0)
    found, shared = share(data, fit, ("click",), folds=4, seed=0)
    assert found.meta.context == (*data.meta.context, "shared_click")
    column, split = found.exposures.context[:, -1], found.exposures.split
    everybody = fit(data).met
    assert column[split >= SPLITS.index("fusion")] == pytest.approx(logit(everybody), rel=1e-5)
    assert (column[np.isin(split, (0, 1))] < logit(0.8 * everybody)).all()
    assert np.isnan(column[split == -1]).all()
    train = column[found.rows("train")]
    assert found.meta.context_mean[-1] == pytest.approx(train.mean())
    later = shared.add(data, np.array([3, 5]))
    assert later.exposures.context[[3, 5], -1] == pytest.approx(logit(everybody), rel=1e-5)
    assert np.isnan(later.exposures.context[:, -1]).sum() == len(column) - 2


def test_nothing_of_a_left_out_user_is_learned_from() -> None:
    data = make_dataset(60, 40, 0)
    gone = np.arange(60) < 20
    rest = without(data, gone)
    params = SimilarityParams()
    fitted = Similarity.fit(rest, make_vectors(data), {"click": TASKS["click"]}, params)
    item = np.where(np.repeat(gone, np.diff(data.streams.offsets)), 0, data.streams.item)
    labels = np.where(gone[data.exposures.user][:, None], 1 - data.exposures.labels, data.exposures.labels)
    other = data.replaced(
        streams=replace(data.streams, item=item), exposures=replace(data.exposures, labels=labels.astype("f4"))
    )
    again = Similarity.fit(without(other, gone), make_vectors(data), {"click": TASKS["click"]}, params)
    assert (fitted.neighbours != again.neighbours).nnz == 0
    assert fitted.logits == again.logits


def test_out_of_fold_scores_of_pure_chance_tell_nothing() -> None:
    """In fold the neighbours hold the row's own click: a reader would trust them, and be fooled later."""
    data = make_chance()
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
    params = SimilarityParams(shrink=0)

    def give(part):
        return Neighbours(Similarity.fit(part, vectors, {}, params))

    shared, _ = share(data, give, ("click",), folds=5, seed=0)
    rows = data.rows("train")
    label = data.labels("click")[rows]

    def apparent(column) -> float:
        found = LogisticRegression().fit(column, label).predict_proba(column)[:, 1]
        return float(roc_auc_score(label, found))

    in_fold = logit(np.clip(give(data).predict(data, rows)["click"], 1e-6, 1))[:, None]
    assert apparent(in_fold) > 0.55
    assert apparent(shared.exposures.context[rows, -1:]) < 0.53


@dataclass
class Neighbours:
    """The plain neighbour score of a similarity member, as a probability."""

    member: Similarity
    tasks: tuple = ("click",)

    def predict(self, data, rows, tasks=None):
        return {"click": np.clip(np.exp(self.member.features(data, rows)[:, 0]), 0, 0.99)}


def test_a_giver_that_cannot_and_too_few_users_are_refused() -> None:
    data = make_dataset(20, 40, 0)
    with pytest.raises(TriadError, match=r"does not score \['price'\]"):
        share(data, fit, ("price",), folds=2, seed=0)
    with pytest.raises(TriadError, match="20 users for 21 folds"):
        share(data, fit, ("click",), folds=21, seed=0)


def test_trees_that_hear_another_member_are_a_member(tmp_path) -> None:
    data, params = make_dataset(150, 48, 0), ProfileParams(max_iterations=8, min_rows_a_leaf=20)
    vectors = make_vectors(data)
    tasks = {name: TASKS[name] for name in ("click", "conversion", "price")}
    member = StackedTrees.fit(data, vectors, tasks, params, SimilarityParams())
    assert member.tasks == ("click", "conversion", "price") and member.shared.tasks == ("click", "conversion")
    assert any("shared_click" in name for name in member.reader.columns["click"])
    rows = data.rows("test")
    found = member.predict(data, rows)
    assert roc_auc_score(data.labels("click")[rows], found["click"]) > 0.6
    heard = member.shared.giver.predict(data, rows)["click"]
    assert logit(heard) == pytest.approx(member.shared.add(data, rows).exposures.context[rows, -2], abs=1e-4)
    member.save(tmp_path / "stacked_trees")
    again = load_member("stacked_trees", tmp_path / "stacked_trees").predict(data, rows, ["conversion"])
    assert list(again) == ["conversion"] and np.array_equal(again["conversion"], found["conversion"])
    assert isinstance(member, RowScorer) and not isinstance(member, Retriever)
