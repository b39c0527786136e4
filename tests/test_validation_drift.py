"""Drift alarms on shifts, and not on two draws of one distribution, however the rows hang together."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from triad.config.validate import ValidateParams
from triad.validation import drift
from triad.validation.event_log import check_drift

PARAMS = ValidateParams()


def draw(seed: int, *, clustered: bool, apart: bool = False, shift: float = 0.0, users: int = 400) -> tuple[Any, ...]:
    """(categories, numbers, recent, [user, item]): heavy-tailed users with tastes, or rows that owe nobody anything.

    `apart`: each user is seen in one period only. `shift`: the share of recent rows that turn to the first category.
    """
    rng = np.random.default_rng(seed)
    n = users * 15
    weight = rng.pareto(1.5, users) + 0.3 if clustered else np.ones(users)
    user = rng.choice(users, n, p=weight / weight.sum())
    recent = (rng.random(users) < 0.2)[user] if apart else rng.random(n) < 1 / 8
    taste = rng.dirichlet([0.3] * 5, users) if clustered else np.full((users, 5), 0.2)
    codes = np.minimum((rng.random(n)[:, None] > taste.cumsum(axis=1)[user]).sum(axis=1), 4)
    codes[recent & (rng.random(n) < shift)] = 0
    habit = rng.normal(0, 1.5, users) if clustered else np.zeros(users)
    numbers = habit[user] + rng.normal(size=n) + 3 * shift * recent
    return np.array(list("abcde"), object)[codes], numbers, recent, [user, rng.integers(0, 100, n)]


def alarms(seed: int, **kind: Any) -> list[bool]:
    names, numbers, recent, clusters = draw(seed, **kind)
    found = [drift.categorical("t.c", names, recent, clusters), drift.numeric("t.n", numbers, recent, clusters)]
    assert None not in found
    return [
        not check.passed for check in check_drift([f for f in found if f], PARAMS, "since") if check.name == "drift"
    ]


@pytest.mark.parametrize("kind", [{"clustered": False}, {"clustered": True}, {"clustered": True, "apart": True}])
def test_two_draws_of_one_distribution_do_not_alarm(kind: dict[str, bool]) -> None:
    assert sum(sum(alarms(seed, **kind)) for seed in range(200)) <= 1


@pytest.mark.parametrize("clustered", [False, True])
def test_p_values_alone_keep_their_promise(clustered: bool) -> None:
    below = np.zeros(2)
    for seed in range(200):
        names, numbers, recent, clusters = draw(seed, clustered=clustered, apart=clustered)
        found = drift.categorical("c", names, recent, clusters), drift.numeric("n", numbers, recent, clusters)
        below += [one is not None and one.p_value < 0.05 for one in found]
    assert np.all(below <= 200 * 0.05 + 2 * np.sqrt(200 * 0.05 * 0.95))


def test_plain_tests_would_alarm_on_the_same_clustered_draws() -> None:
    rejected = 0
    for seed in range(20):
        names, numbers, recent, _ = draw(seed, clustered=True, apart=True)
        counts = [[np.sum(names[part] == name) for name in "abcde"] for part in (recent, ~recent)]
        p_values = chi2_contingency(counts).pvalue, ks_2samp(numbers[recent], numbers[~recent]).pvalue
        rejected += min(p_values) < PARAMS.drift_alpha / 2
    assert rejected >= 15


@pytest.mark.parametrize("clustered", [False, True])
def test_a_real_shift_alarms(clustered: bool) -> None:
    found = np.array([alarms(seed, clustered=clustered, shift=0.4, users=1200) for seed in range(10)])
    assert found.mean(axis=0).min() >= 0.9


def test_a_sure_but_small_shift_does_not_alarm() -> None:
    names, _, recent, clusters = draw(1, clustered=False, shift=0.06, users=20_000)
    found = drift.categorical("t.c", names, recent, clusters)
    assert found is not None and found.p_value < 1e-10 and found.effect < PARAMS.drift_effect
    assert all(check.passed for check in check_drift([found], PARAMS, "since"))


def test_effects_by_hand() -> None:
    user = np.arange(400) % 100
    recent = np.arange(400) >= 200
    # 50 of 200 before, 150 of 200 after: V of the table [[50, 150], [150, 50]] is 0.5
    names = np.array((["a"] * 50 + ["b"] * 150) + (["a"] * 150 + ["b"] * 50), object)
    found = drift.categorical("c", names, recent, [user, user])
    assert found is not None and found.effect == pytest.approx(0.5) and "a 25.0% → 75.0%" in found.moved
    numbers = np.where(recent, 1.0, 0.0) * (np.arange(400) % 4 > 0)  # three of four recent ones move from 0 to 1
    found = drift.numeric("n", numbers, recent, [user, user])
    assert found is not None and found.effect == pytest.approx(0.75)


def test_gaps_are_a_category_and_no_number() -> None:
    user = np.arange(400) % 100
    recent = np.arange(400) >= 200
    names = np.where(recent, None, "a")
    found = drift.categorical("c", names, recent, [user, user])
    assert found is not None and found.effect == pytest.approx(1) and found.new == ("(none)",)
    numbers = np.where(np.arange(400) % 2, np.nan, 5.0)
    assert drift.numeric("n", numbers, recent, [user, user]) is None  # it never changes
    assert drift.numeric("n", np.full(400, np.nan), recent, [user, user]) is None


def test_too_few_users_are_not_judged() -> None:
    names, numbers, recent, _ = draw(0, clustered=False)
    few = np.arange(len(names)) % (drift.MIN_CLUSTERS - 1)
    assert drift.categorical("c", names, recent, [few]) is None
    assert drift.numeric("n", numbers, recent, [few]) is None


def test_many_categories_are_pooled_and_new_ones_are_told() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"v{i}" for i in rng.integers(0, 100, 5000)], object)
    recent, user = np.arange(5000) > 4000, rng.integers(0, 300, 5000)
    names[-5:] = "brand new"
    found = drift.categorical("items.brand", names, recent, [user, user])
    assert found is not None and found.new == ("brand new",)
    told = check_drift([found], PARAMS, "since 2026-01-01")
    assert [(c.name, c.severity, c.passed) for c in told] == [("drift", "warning", True), ("new_values", "info", False)]
    assert told[1].samples == ({"brand": "brand new"},)
