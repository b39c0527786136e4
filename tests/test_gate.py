"""The gate: each rule, and how often chance alone opens it."""

import numpy as np
import pytest

from triad.config.evaluate import EvaluateParams
from triad.evaluation.gate import Comparison, judge
from triad.statistics import metrics
from triad.statistics.bootstrap import draw

LIMITS = EvaluateParams(margin=0.002, min_gain=0.001, slice_margin=0.03, max_calibration_error=0.05)


def estimate(value: float, error: float, seed: int = 0) -> np.ndarray:
    """`value` with a bootstrap whose standard error is just `error`."""
    noise = np.random.default_rng(seed).normal(size=300)
    return np.r_[value, value + error * (noise - noise.mean()) / noise.std(ddof=1)]


def verdict(*differences: tuple[float, float], champion: bool = True, **more):
    compared = [Comparison(f"task{i}", "AUC", estimate(*d), **more) for i, d in enumerate(differences)]
    return judge(compared, LIMITS, champion=champion)


def test_a_shown_gain_without_shown_harm_passes() -> None:
    found = verdict((0.01, 0.002), (-0.001, 0.004))
    assert found.outcome == "PASS"
    assert len(found.gains) == 1 and "task0: AUC +0.0100 [+0.0061, +0.0139]" in found.gains[0]


def test_a_gain_within_what_another_seed_gains_does_not_pass() -> None:
    assert verdict((0.0014, 0.0003)).outcome == "INCONCLUSIVE"  # clear of zero, not of min_gain


def test_equal_quality_is_inconclusive_and_says_why() -> None:
    found = verdict((0.0, 0.002), (0.001, 0.004))
    assert found.outcome == "INCONCLUSIVE"
    assert found.doubts == ("no gated task shows a gain that is more than chance",)


def test_an_identical_model_is_inconclusive() -> None:
    assert verdict((0.0, 0.0)).outcome == "INCONCLUSIVE"


def test_a_loss_beyond_the_margin_fails_whatever_is_gained_elsewhere() -> None:
    found = verdict((0.05, 0.002), (-0.01, 0.002))
    assert found.outcome == "FAIL" and "task1" in found.harms[0]


def test_a_probable_loss_within_the_margin_keeps_a_gain_from_passing() -> None:
    found = verdict((0.05, 0.002), (-0.0015, 0.0005))
    assert found.outcome == "INCONCLUSIVE" and "probably worse" in found.doubts[0]


def test_the_gain_is_held_to_a_level_shared_by_all_gated_tasks() -> None:
    lone = (0.0055, 0.002)  # 2.25 standard errors above min_gain
    assert verdict(lone).outcome == "PASS"
    assert verdict(lone, *[(0.0, 0.002)] * 4).outcome == "INCONCLUSIVE"


def test_an_undefined_task_is_named_and_keeps_from_passing() -> None:
    found = judge(
        [Comparison("click", "AUC", estimate(0.1, 0.01)), Comparison("rare", "AUC", np.full(301, np.nan))],
        LIMITS,
        champion=True,
    )
    assert found.outcome == "INCONCLUSIVE" and "rare: cannot be measured" in found.doubts[0]


def test_calibration_fails_when_shown_and_doubts_when_not() -> None:
    for error, outcome in ((0.001, "FAIL"), (0.02, "INCONCLUSIVE")):
        found = verdict((0.05, 0.002), calibration=estimate(0.06, error))
        assert found.outcome == outcome
        assert "calibration error 0.060 is above the limit 0.05" in (*found.harms, *found.doubts)[0]
    assert verdict((0.05, 0.002), calibration=estimate(0.04, 0.001)).outcome == "PASS"
    assert verdict((0.05, 0.002), calibration=np.full(301, np.nan)).outcome == "PASS"


def test_a_slice_that_loses_much_fails_by_name_and_chance_among_many_does_not() -> None:
    bad = {"new users": estimate(-0.08, 0.01), "known users": estimate(0.01, 0.01)}
    found = verdict((0.05, 0.002), slices=bad)
    assert found.outcome == "FAIL" and "slice new users" in found.harms[0]
    by_chance = {f"category {i}": estimate(0.0, 0.04) for i in range(40)} | {"worst": estimate(-0.12, 0.04)}
    assert verdict((0.05, 0.002), slices=by_chance).outcome == "PASS"


def test_without_a_champion_every_gated_task_must_beat_the_naive_baseline() -> None:
    assert verdict((0.1, 0.01), (0.02, 0.005), champion=False).outcome == "PASS"
    found = verdict((0.1, 0.01), (0.005, 0.005), champion=False)
    assert found.outcome == "INCONCLUSIVE" and "task1" in found.doubts[0]
    found = verdict((0.1, 0.01), (-0.05, 0.005), champion=False)
    assert found.outcome == "FAIL" and "task1" in found.harms[0] and len(found.gains) == 1


def test_nothing_gated_is_inconclusive() -> None:
    assert judge([], LIMITS, champion=True).outcome == "INCONCLUSIVE"


USERS, ROWS = 900, 6


def challenge(seed: int, better: float) -> str:
    """Two models that see the same truth through their own equal noise, on two tasks; `better` less noise in one."""
    random = np.random.default_rng(seed)
    cluster, draws = np.repeat(np.arange(USERS), ROWS), draw(USERS, 100, seed)
    compared = []
    for task in ("click", "conversion"):
        truth = np.repeat(random.normal(size=USERS), ROWS) + random.normal(size=USERS * ROWS)
        taken = random.random(len(truth)) < 1 / (1 + np.exp(1.5 - 1.5 * truth))
        challenger, champion = (truth + noise * random.normal(size=len(truth)) for noise in (0.5 - better, 0.5))
        areas = [metrics.auc(taken, scores, cluster, draws) for scores in (challenger, champion)]
        compared.append(Comparison(task, "AUC", areas[0] - areas[1]))
    return judge(compared, LIMITS, champion=True).outcome


def test_of_200_challenges_by_a_twin_of_equal_quality_at_most_one_in_twenty_passes() -> None:
    outcomes = [challenge(seed, better=0.0) for seed in range(200)]
    assert outcomes.count("PASS") <= 10
    assert outcomes.count("FAIL") <= 10


@pytest.mark.parametrize(("better", "least"), [(0.25, 0.9)])
def test_a_truly_better_model_passes(better: float, least: float) -> None:
    outcomes = [challenge(seed, better) for seed in range(40)]
    assert outcomes.count("PASS") >= least * len(outcomes)
