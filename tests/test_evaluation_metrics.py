"""Metrics against scikit-learn and numbers worked out by hand, on the sample and on its resamples."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from triad.errors import TriadError
from triad.ranking import ranking_values, target_ranks
from triad.statistics import metrics
from triad.statistics.bootstrap import draw, value

RNG = np.random.default_rng(7)
N, USERS = 800, 90
CLUSTER = RNG.integers(USERS, size=N)
DRAWS = draw(USERS, 25, seed=3)


def weights(resample: int) -> np.ndarray:
    return DRAWS.multiplicity[resample][CLUSTER]


@pytest.fixture(scope="module")
def binary():
    scores = np.round(RNG.random(N), 2)  # with ties
    return (RNG.random(N) < scores).astype(float), scores


@pytest.mark.parametrize("resample", [0, 1, 25])
def test_binary_metrics_equal_scikit_learn_on_the_sample_and_on_resamples(binary, resample) -> None:
    labels, scores = binary
    found, w = metrics.binary(labels, scores, CLUSTER, DRAWS, threshold=0.4), weights(resample)
    assert found["auc"][resample] == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=w), abs=1e-12)
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    assert found["log_loss"][resample] == pytest.approx(sk.log_loss(labels, clipped, sample_weight=w), rel=1e-9)
    said = scores >= 0.4
    assert found["accuracy"][resample] == pytest.approx(sk.accuracy_score(labels, said, sample_weight=w))
    assert found["recall"][resample] == pytest.approx(sk.recall_score(labels, said, sample_weight=w))
    assert found["f1"][resample] == pytest.approx(sk.f1_score(labels, said, sample_weight=w))


@pytest.mark.parametrize("resample", [0, 4])
def test_gauc_is_the_users_own_aucs_weighted_by_their_impressions(binary, resample) -> None:
    labels, scores = binary
    total = weight = 0.0
    for user in range(USERS):
        mine = user == CLUSTER
        if 0 < labels[mine].sum() < mine.sum():  # users of one class are left out
            w = DRAWS.multiplicity[resample][user] * mine.sum()
            total, weight = total + w * sk.roc_auc_score(labels[mine], scores[mine]), weight + w
    assert metrics.binary(labels, scores, CLUSTER, DRAWS)["gauc"][resample] == pytest.approx(total / weight)


def test_gauc_by_hand() -> None:
    # user 0: 2 of 2 pairs right, 3 rows; user 1: 1 pair, wrong, 2 rows; user 2: all clicked, left out
    labels, scores = np.array([1, 0, 0, 1, 0, 1, 1.0]), np.array([0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = metrics.binary(labels, scores, np.array([0, 0, 0, 1, 1, 2, 2]), draw(3, 20, 0))
    assert value(found["gauc"]) == pytest.approx((1 * 3 + 0 * 2) / 5)


def test_auc_counts_ties_half_and_needs_both_classes() -> None:
    draws, cluster = draw(4, 20, 0), np.arange(4)
    by_hand = metrics.binary(np.array([1, 0, 1, 0.0]), np.array([0.5, 0.5, 0.7, 0.1]), cluster, draws)
    assert value(by_hand["auc"]) == pytest.approx(3.5 / 4)
    alone = metrics.binary(np.ones(4), np.full(4, 0.5), cluster, draws)
    assert np.isnan(alone["auc"]).all() and np.isnan(alone["gauc"]).all()
    assert value(alone["log_loss"]) == pytest.approx(np.log(2))
    nothing = metrics.binary(np.zeros(0), np.zeros(0), np.zeros(0, int), draws, threshold=0.5)
    assert all(np.isnan(estimate).all() for estimate in nothing.values())


def test_calibration_error_is_the_gap_of_scikit_learns_quantile_bins() -> None:
    scores = RNG.random(N)
    labels = (RNG.random(N) < scores**2).astype(float)
    observed, predicted = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    by_sklearn = np.abs(observed - predicted).mean()  # equal mass: N divides by 10
    assert value(metrics.binary(labels, scores, CLUSTER, DRAWS)["calibration_error"]) == pytest.approx(by_sklearn)
    constant = metrics.binary(labels, np.full(N, 0.25), CLUSTER, DRAWS)
    assert value(constant["calibration_error"]) == pytest.approx(abs(labels.mean() - 0.25))


def test_the_best_threshold_is_that_of_scikit_learns_curve(binary) -> None:
    labels, scores = binary
    precision, recall, cuts = sk.precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = metrics.best_threshold(labels, scores)
    assert sk.f1_score(labels, scores >= best) == pytest.approx(f1.max())
    assert best in cuts
    assert metrics.best_threshold(np.zeros(3), np.ones(3)) == np.inf
    assert metrics.best_threshold(np.zeros(0), np.zeros(0)) == np.inf


@pytest.mark.parametrize("resample", [0, 7])
def test_multiclass_metrics_equal_scikit_learn(resample) -> None:
    labels = RNG.integers(4, size=N).astype(float)
    scores = RNG.dirichlet(np.ones(4), N)
    scores[np.arange(N), labels.astype(int)] += 0.3
    scores /= scores.sum(1, keepdims=True)
    found, w = metrics.multiclass(labels, scores, CLUSTER, DRAWS), weights(resample)
    said = scores.argmax(1)
    assert found["accuracy"][resample] == pytest.approx(sk.accuracy_score(labels, said, sample_weight=w))
    assert found["macro_recall"][resample] == pytest.approx(sk.balanced_accuracy_score(labels, said, sample_weight=w))
    assert found["macro_f1"][resample] == pytest.approx(sk.f1_score(labels, said, average="macro", sample_weight=w))
    assert found["log_loss"][resample] == pytest.approx(sk.log_loss(labels, scores, sample_weight=w))


def test_a_guess_by_shares_is_judged_as_the_mean_of_many_random_guesses() -> None:
    shares, labels = np.array([0.6, 0.3, 0.1]), np.repeat([0.0, 1.0, 2.0], [120, 60, 20])
    draws = draw(200, 20, 0)
    naive = metrics.multiclass(labels, np.tile(shares, (200, 1)), np.arange(200), draws, guess=True)
    guesses = [sk.f1_score(labels, RNG.choice(3, 200, p=shares), average="macro") for _ in range(400)]
    assert value(naive["macro_f1"]) == pytest.approx(np.mean(guesses), abs=0.01)
    assert value(naive["macro_f1"]) == pytest.approx(1 / 3, abs=0.01)
    assert value(naive["accuracy"]) == pytest.approx(0.6)  # always the commonest class


def test_a_class_that_never_occurs_is_left_out_of_macro_recall() -> None:
    scores = np.eye(3)[[0, 0, 1, 1]] * 0.8 + 0.2 / 3
    found = metrics.multiclass(np.array([0, 0, 1, 0.0]), scores, np.arange(4), draw(4, 20, 0))
    assert value(found["macro_recall"]) == pytest.approx((2 / 3 + 1) / 2)
    assert value(found["macro_f1"]) == pytest.approx((0.8 + 2 / 3) / 2)


@pytest.mark.parametrize("resample", [0, 9])
def test_regression_metrics_equal_scikit_learn_and_the_share_of_naive_error_removed(resample) -> None:
    labels, scores, w = RNG.normal(size=N), RNG.normal(size=N), weights(resample)
    found = metrics.regression(labels, scores, np.zeros(N), CLUSTER, DRAWS)
    mae = sk.mean_absolute_error(labels, scores, sample_weight=w)
    assert found["mae"][resample] == pytest.approx(mae)
    assert found["rmse"][resample] == pytest.approx(sk.root_mean_squared_error(labels, scores, sample_weight=w))
    naive = sk.mean_absolute_error(labels, np.zeros(N), sample_weight=w)
    assert found["relative_gain"][resample] == pytest.approx(1 - mae / naive)


def test_ranking_by_hand_with_ties_against_the_model_and_several_targets() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2], [0.1, 0.2, 0.3, 0.4, 0.5]])
    query, target = np.array([0, 0, 1, 2]), np.array([1, 0, 3, 4])
    ranks = target_ranks(scores, query, target)
    assert ranks.tolist() == [4, 1, 5, 1]  # item 1 shares places 2 to 4 and is given the last
    values = ranking_values(ranks, query, 3, k=4)
    ideal = 1 + 1 / np.log2(3)
    assert values[0] == pytest.approx([(1 + 1 / np.log2(5)) / ideal, 1, 1, 1])
    assert values[1] == pytest.approx([0, 0, 0, 1 / 5])
    assert values[2] == pytest.approx([1, 1, 1, 1])
    found = metrics.ranking(values, np.array([0, 0, 1]), draw(2, 20, 0))
    assert value(found["hit"]) == pytest.approx(2 / 3)
    assert value(found["mrr"]) == pytest.approx((1 + 0.2 + 1) / 3)


def test_tied_targets_take_the_last_places_of_their_tie_and_no_place_twice() -> None:
    ranks = target_ranks(np.array([[0.5, 0.5, 0.5, 0.1]]), np.array([0, 0]), np.array([2, 0]))
    assert sorted(ranks.tolist()) == [2, 3]


def test_ndcg_equals_scikit_learn_where_nothing_ties() -> None:
    scores = RNG.random((60, 50))
    wanted = [RNG.choice(50, size=RNG.integers(1, 5), replace=False) for _ in range(60)]
    query = np.repeat(np.arange(60), [len(w) for w in wanted])
    truth = np.zeros((60, 50))
    truth[query, np.concatenate(wanted)] = 1
    values = ranking_values(target_ranks(scores, query, np.concatenate(wanted)), query, 60, k=10)
    assert values[:, 0].mean() == pytest.approx(sk.ndcg_score(truth, scores, k=10))


def test_scores_that_cannot_be_are_refused_by_name() -> None:
    draws, one = draw(2, 20, 0), np.array([0, 1])
    with pytest.raises(TriadError, match="3 scores for 2 labels"):
        metrics.binary(np.array([0.0, 1.0]), np.full(3, 0.5), one, draws)
    with pytest.raises(TriadError, match="1 scores are no finite numbers"):
        metrics.regression(np.zeros(2), np.array([np.nan, 1]), np.zeros(2), one, draws)
    with pytest.raises(TriadError, match=r"\[0.5, 1.2\] are no probabilities"):
        metrics.binary(np.array([0.0, 1.0]), np.array([0.5, 1.2]), one, draws)
    with pytest.raises(TriadError, match="label 5 of 3 classes"):
        metrics.multiclass(np.array([0.0, 5.0]), np.full((2, 3), 1 / 3), one, draws)
