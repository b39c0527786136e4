"""The bootstrap: paired, clustered, honest about its width, and fast."""

import time

import numpy as np
import pytest

from triad.statistics import metrics
from triad.statistics.bootstrap import draw, interval, normal_interval, value


def test_totals_are_sums_over_the_drawn_clusters() -> None:
    draws = draw(3, 40, seed=1)
    cluster, values = np.array([0, 1, 1, 2]), np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]])
    totals = draws.totals(cluster, values)
    assert totals[0].tolist() == [10, 100]
    m = draws.multiplicity[5].astype(float)
    assert totals[5].tolist() == [m[0] + 5 * m[1] + 4 * m[2], 10 * (m[0] + 5 * m[1] + 4 * m[2])]


def test_the_same_seed_draws_the_same() -> None:
    assert np.array_equal(draw(50, 30, 2).multiplicity, draw(50, 30, 2).multiplicity)
    assert not np.array_equal(draw(50, 30, 2).multiplicity, draw(50, 30, 3).multiplicity)


def test_blocks_give_all_resamples_however_wide_the_rows_are() -> None:
    draws = draw(4, 50, 0)
    narrow = np.concatenate(list(draws.blocks(1 << 22)))
    assert np.array_equal(narrow, draws.multiplicity) and narrow.dtype == np.float64


def test_intervals_know_that_a_users_rows_are_one_draw() -> None:
    random = np.random.default_rng(0)
    cluster = np.repeat(np.arange(200), 10)
    mean = random.normal(size=200)[cluster]  # ten copies of each user's value
    totals = draw(200, 600, 0).totals(cluster, np.c_[mean, np.ones(2000)])
    low, high = interval(totals[:, 0] / totals[:, 1], 0.95)
    assert (high - low) / (2 * 1.96) == pytest.approx(1 / np.sqrt(200), rel=0.15)  # not 1 / √2000


def test_intervals_cover_as_often_as_they_say() -> None:
    random, hits = np.random.default_rng(1), 0
    for trial in range(200):
        cluster = np.repeat(np.arange(100), 4)
        values = (random.normal(size=100) + 0.3)[cluster] + random.normal(size=400)
        totals = draw(100, 200, trial).totals(cluster, np.c_[values, np.ones(400)])
        low, high = normal_interval(totals[:, 0] / totals[:, 1], 0.95)
        hits += low <= 0.3 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_a_paired_difference_is_narrower_than_either_metric() -> None:
    random = np.random.default_rng(0)
    cluster, draws = np.repeat(np.arange(300), 8), draw(300, 200, 0)
    scores = random.random(2400)
    labels = (random.random(2400) < scores).astype(float)
    first = metrics.auc(labels > 0, scores, cluster, draws)
    second = metrics.auc(labels > 0, np.clip(scores + random.normal(0, 0.02, 2400), 0, 1), cluster, draws)
    wide, narrow = (high - low for low, high in (interval(first, 0.95), interval(first - second, 0.95)))
    assert narrow < wide / 3
    assert value(first - second) == pytest.approx(value(first) - value(second))


def test_what_is_undefined_has_no_interval() -> None:
    mostly_missing = np.r_[0.5, np.full(60, np.nan), np.full(40, 0.5)]
    assert np.isnan(interval(mostly_missing, 0.95)).all()
    assert np.isnan(normal_interval(np.r_[np.nan, np.ones(50)], 0.95)).all()
    assert interval(np.r_[0.5, np.nan, np.full(99, 0.5)], 0.95) == (0.5, 0.5)


def test_the_reflected_interval_undoes_the_push_of_resampling() -> None:
    random = np.random.default_rng(3)
    scores, cluster = random.random(1500), np.arange(1500)
    labels = (random.random(1500) < scores).astype(float)  # perfectly calibrated
    error = metrics.binary(labels, scores, cluster, draw(1500, 200, 0))["calibration_error"]
    low, high = interval(error, 0.95, reflected=True)
    assert np.median(error[1:]) > value(error)
    assert 0 <= low < value(error) and high < interval(error, 0.95)[1]


def test_300_resamples_of_60_000_rows_and_six_models_take_seconds() -> None:
    random = np.random.default_rng(0)
    cluster, draws = random.integers(8000, size=60_000), draw(8000, 300, 0)
    labels = (random.random(60_000) < 0.1).astype(float)
    start = time.perf_counter()
    for _ in range(6):
        metrics.binary(labels, random.random(60_000), cluster, draws, threshold=0.5)
    assert time.perf_counter() - start < 20
