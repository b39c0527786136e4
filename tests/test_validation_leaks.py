"""The sentinels find a feature that knows the answer, and leave an honest one alone."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from triad.errors import TriadError
from triad.validation import leaks
from triad.validation.leaks import check_features

LIMIT = 0.98


def make(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(n, 4)).astype(np.float32)
    clicked = (rng.random(n) < 1 / (1 + np.exp(-1.5 * context[:, 0]))).astype(np.float32)
    spend = (context[:, 1] + rng.normal(size=n)).astype(np.float32)
    segment = rng.integers(0, 4, n).astype(np.float32)
    labels = np.stack([clicked, spend, segment], axis=1)
    labels[rng.random(labels.shape) < 0.2] = np.nan
    context[rng.random(context.shape) < 0.1] = np.nan
    return context, labels


NAMES, TASKS = ["position", "price", "age", "hour"], ["click", "spend", "profile"]


def test_honest_features_pass() -> None:
    check_features(*_arguments(*make()), LIMIT)


def _arguments(context: np.ndarray, labels: np.ndarray) -> tuple:
    return context, NAMES, labels, TASKS


@pytest.mark.parametrize(
    ("spoil", "task", "told"),
    [
        (lambda y: 3 - 2 * y[:, 0], "click", r"equals the label"),
        (lambda y: y[:, 0] + np.random.default_rng(1).normal(0, 0.3, len(y)), "click", r"AUC 0\.\d+ .*limit 0.98"),
        (lambda y: -y[:, 0] + np.random.default_rng(1).normal(0, 0.3, len(y)), "click", r"AUC 0\.\d+"),
        (lambda y: np.where(y[:, 0] == 1, 7.0, np.nan), "click", r"AUC 1\.0000"),
        (lambda y: 5 * y[:, 1] + 2, "spend", r"equals the label"),
        (lambda y: y[:, 1] + np.random.default_rng(1).normal(0, 0.02, len(y)), "spend", r"\|correlation\| 0\.999"),
        (lambda y: (y[:, 2] == 2).astype(float), "profile", r"AUC 1\.0000 .* of class 2 against the rest"),
    ],
)
def test_a_leak_is_named(spoil, task: str, told: str) -> None:
    context, labels = make()
    context = context.astype(np.float64)
    context[:, 2] = spoil(labels.astype(np.float64))
    with pytest.raises(TriadError, match=told) as error:
        check_features(*_arguments(context, labels), LIMIT)
    assert "'age'" in str(error.value) and f"'{task}'" in str(error.value)


def test_left_out_rows_are_not_asked() -> None:
    context, labels = make()
    split = np.where(np.arange(len(context)) < 2000, -1, 0)
    context[:2000, 2] = np.nan_to_num(labels[:2000, 0]) * 100
    check_features(*_arguments(context, labels), LIMIT, split=split)
    with pytest.raises(TriadError):
        check_features(*_arguments(context, labels), LIMIT, split=np.where(split < 0, 0, -1))


def test_few_rows_of_a_class_are_no_evidence() -> None:
    context, labels = make()
    labels[:, 0] = 0
    labels[: leaks.MIN_CLASS - 1, 0] = 1
    context[:, 2] = np.arange(len(context))
    check_features(context[:, :3], NAMES[:3], labels[:, :1], ["click"], LIMIT)


def test_auc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(3)
    score, positive = rng.integers(0, 5, 500).astype(float), rng.random(500) < 0.3
    assert leaks.auc(score, positive) == pytest.approx(roc_auc_score(positive, score))


def test_rates_are_counted_on_the_other_half() -> None:
    names = np.array(["a", "a", "b", "b", None, None], object)
    positive = np.array([1, 0, 1, 1, 0, 1], bool)
    assert leaks.rates(names, positive).tolist() == [0, 1, 1, 1, 1, 0]
    rng = np.random.default_rng(0)
    each_its_own = np.array([f"s{i}" for i in range(2000)], object)
    assert leaks.best_auc(leaks.rates(each_its_own, rng.random(2000) < 0.5), rng.random(2000) < 0.5) < 0.6


def test_two_million_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(2_000_000, 8)).astype(np.float32)
    labels = (rng.random((2_000_000, 1)) < 0.02).astype(np.float32)
    context[:, 5] += 8 * labels[:, 0]
    started = time.perf_counter()
    with pytest.raises(TriadError, match="'f5'"):
        check_features(context, [f"f{i}" for i in range(8)], labels, ["click"], LIMIT)
    assert time.perf_counter() - started < 10
