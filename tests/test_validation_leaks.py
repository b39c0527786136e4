"""The sentinels find a feature that knows the answer, and leave an honest one alone."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from triad.errors import TriadError
from triad.validation import leaks
from triad.validation.event_log import check_columns
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


def crowd(shape: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """User, item, hours since the last event, and clicks of a shop's 6,000 exposures, and of what came over it."""
    rng = np.random.default_rng(5)
    user, item = rng.integers(0, 300, 6_000), rng.zipf(1.5, 6_000) % 300
    hours, clicked = rng.exponential(20, 6_000), rng.random(6_000) < 0.05
    rows = {"a bot": [200_000], "some bots": [30_000] * 8, "a bot that clicks": [50_000], "a shared account": [60_000]}
    for place, n in enumerate(rows.get(shape, [])):
        user, item = np.r_[user, np.full(n, 300 + place)], np.r_[item, rng.integers(0, 300, n)]
        hours = np.r_[hours, rng.exponential(0.001, n)]
        chance = {"a bot that clicks": 1.0, "a shared account": 0.05}.get(shape, 0.0)
        clicked = np.r_[clicked, rng.random(n) < chance]
    if shape == "an item on every page":
        user, item = np.r_[user, rng.integers(0, 300, 300_000)], np.r_[item, np.full(300_000, 300)]
        hours, clicked = np.r_[hours, np.full(300_000, 500.0)], np.r_[clicked, np.zeros(300_000, bool)]
    return user, item, hours.astype(np.float32), clicked.astype(np.float32)


SHAPES = ["a bot", "some bots", "a bot that clicks", "a shared account", "an item on every page"]


@pytest.mark.parametrize("shape", SHAPES)
def test_who_makes_most_rows_is_no_leak_and_hides_none(shape: str) -> None:
    user, item, hours, clicked = crowd(shape)
    order = np.random.default_rng(6).permutation(len(user))
    user, item, hours, clicked = user[order], item[order], hours[order], clicked[order]
    ask = {"names": ["hours_since_last"], "labels": clicked[:, None], "task_names": ["click"], "limit": LIMIT}
    check_features(hours[:, None], **ask, owners=(user, item))
    if shape != "a shared account":  # it clicks like others, so it misled nobody
        with pytest.raises(TriadError, match="hours_since_last"):
            check_features(hours[:, None], **ask)
    told = clicked + np.random.default_rng(7).normal(0, 0.2, len(user)).astype(np.float32)
    with pytest.raises(TriadError, match="hours_since_last"):
        check_features(told[:, None], **ask, owners=(user, item))
    columns = {"hours": hours.astype(float)}
    assert check_columns(columns, {"clicked": clicked == 1}, (user, item), LIMIT)[0].passed
    assert not check_columns({"hours": told}, {"clicked": clicked == 1}, (user, item), LIMIT)[0].passed


def test_no_owner_has_far_more_rows_of_a_class_than_the_median() -> None:
    owner = np.r_[np.repeat(np.arange(10), 40), np.full(900, 10), np.full(300, 11)]
    label = np.r_[np.zeros(1300), np.ones(300)]
    kept = leaks.spread(owner, label)
    assert np.all(np.diff(kept) > 0)
    assert np.bincount(owner[kept]).tolist() == [40] * 10 + [200, 300], "of one class there is but one owner"
    bot = kept[owner[kept] == 10]
    assert np.ptp(np.diff(bot)) <= 1, "evenly taken"
    assert len(leaks.spread(owner[:0], label[:0])) == 0


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
