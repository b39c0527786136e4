"""Weights, calibration and the evidence for them: hand-made answers, brute force, and cases that must fall back."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from triad.errors import TriadError
from triad.fusion.crossfit import solve
from triad.fusion.question import Answer, Judged, Mix, Question, Trial
from triad.kinds import KINDS
from triad.statistics.calibration import POWERS, log_powers
from triad.statistics.weights import absolute_line, absolute_weights, mixture_weights

TRIAL = Trial(folds=5, bootstrap=200, confidence=0.95, seed=1)
GRID = np.array([(a, b, 100 - a - b) for a, b in product(range(101), repeat=2) if a + b <= 100]) / 100


def test_mixture_weights_reach_the_least_loss_of_a_grid() -> None:
    random = np.random.default_rng(0)
    likelihood, counts = random.beta(2, 2, (400, 3)), random.random(400)
    losses = [np.average(-np.log(likelihood @ w), weights=counts) for w in GRID]
    found = mixture_weights(likelihood, counts)
    assert np.average(-np.log(likelihood @ found), weights=counts) <= min(losses) + 1e-6
    assert found == pytest.approx(GRID[np.argmin(losses)], abs=0.02)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("pull", [0.0, 200.0])
def test_weights_of_members_that_are_alike_end_near_the_least_loss_within_few_steps(pull) -> None:
    """Plain EM needs some thousand steps here."""
    random = np.random.default_rng(0)
    truth = random.normal(-1.6, 1, 20_000)
    happened = random.random(20_000) < 1 / (1 + np.exp(-truth))
    chance = 1 / (1 + np.exp(-truth[:, None] - random.normal(size=(20_000, 5)) * 0.1 * np.arange(1, 6)))
    likelihood = np.where(happened[:, None], chance, 1 - chance)
    prior = np.full(5, 0.2)
    found = mixture_weights(likelihood, toward=prior, pull=pull, steps=150)
    gain = (likelihood / (likelihood @ found)[:, None]).mean(axis=0) + prior * pull / 20_000 / np.maximum(found, 1e-300)
    assert gain[found > 0].max() / (1 + pull / 20_000) - 1 < 2e-6


def test_a_member_that_only_harms_gets_no_weight() -> None:
    good = np.random.default_rng(0).uniform(0.5, 0.9, 300)
    assert mixture_weights(np.stack([good, good / 2], axis=1)).tolist() == [1, 0]


def test_absolute_weights_and_line_reach_the_least_error_of_a_grid() -> None:
    random = np.random.default_rng(1)
    target = random.standard_t(3, 300)
    predictions = target[:, None] + random.normal(0, [0.5, 0.8, 1.5], (300, 3))
    errors = [np.abs(target - predictions @ w).mean() for w in GRID]
    found = absolute_weights(predictions, target)
    assert np.abs(target - predictions @ found).mean() <= min(errors) + 1e-9
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()

    stretched = 3 * target + 0.7 + random.normal(0, 0.1, 300)
    scale, shift = absolute_line(stretched, target)
    lines = [np.abs(target - a * stretched - b).mean() for a in np.linspace(0, 1, 101) for b in np.linspace(-1, 1, 101)]
    assert np.abs(target - scale * stretched - shift).mean() <= min(lines) + 1e-9
    assert (scale, shift) == pytest.approx((1 / 3, -0.7 / 3), abs=0.02)
    assert absolute_line(-stretched, target)[0] == 0  # an order is never turned round


def test_an_unbounded_program_is_an_error() -> None:
    with pytest.raises((TriadError, ValueError), match=r"infinite|inf|nan"):
        absolute_weights(np.full((3, 2), np.inf), np.zeros(3))


def test_platt_finds_the_map_that_spoilt_the_probabilities() -> None:
    random = np.random.default_rng(2)
    true = expit(random.normal(-2, 1.5, 40_000))
    label = (random.random(40_000) < true).astype(float)
    spoilt = expit((logit(true) + 1) * 2)
    found = KINDS["binary"].fit_calibration(spoilt, label)
    assert found is not None
    assert (found["slope"], found["intercept"]) == pytest.approx((0.5, -1), abs=0.04)
    assert KINDS["binary"].calibrate(found, spoilt) == pytest.approx(true, abs=0.02)


def test_binary_calibration_stays_finite_and_never_turns_the_order() -> None:
    score = np.linspace(0.1, 0.9, 50)
    apart = KINDS["binary"].fit_calibration(score, (score > 0.5).astype(float))  # separable: no maximum without a pull
    reversed_ = KINDS["binary"].fit_calibration(score, (score < 0.5).astype(float))
    assert apart is not None
    assert reversed_ is not None
    assert np.isfinite([apart["slope"], apart["intercept"]]).all()
    assert reversed_["slope"] == 0
    assert np.isfinite(KINDS["binary"].calibrate(apart, np.array([0.0, 1.0]))).all()


def test_multiclass_calibration_finds_temperature_and_bias() -> None:
    random = np.random.default_rng(3)
    true = random.dirichlet([1, 2, 3], 30_000)
    label = (random.random((30_000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    spoilt = true**2 * np.array([1, 2, 0.5])
    spoilt /= spoilt.sum(axis=1, keepdims=True)
    found = KINDS["multiclass"].fit_calibration(spoilt, label.astype(float))
    assert found is not None
    assert found["slope"] == pytest.approx(0.5, abs=0.02)
    mapped = KINDS["multiclass"].calibrate(found, spoilt)
    assert mapped.sum(axis=1) == pytest.approx(1)
    assert np.abs(mapped - true).mean() < 0.01


def test_the_table_of_powers_is_the_renormalised_power() -> None:
    random = np.random.default_rng(4)
    probabilities = random.dirichlet(np.ones(6), 5)
    query, target = np.array([0, 0, 3]), np.array([1, 5, 2])
    table = log_powers(probabilities, query, target)
    for column, power in enumerate(POWERS):
        mapped = KINDS["ranking"].calibrate({"power": power}, probabilities)
        assert mapped.sum(axis=1) == pytest.approx(1)
        assert table[:, column] == pytest.approx(np.log(mapped[query, target]))
    assert 1.0 in POWERS
    flat = random.integers(6, size=5)  # nothing is known: the flattest power wins
    table = log_powers(probabilities, np.repeat(np.arange(5), 1), flat)
    assert KINDS["ranking"].fit_calibration(table, np.ones(5)) == {"power": POWERS[int(np.argmax(table.sum(axis=0)))]}


def two_halves(seed: int = 0, rows: int = 4000) -> Question:
    """Two members that each know one half of the truth, and one that knows nothing."""
    random = np.random.default_rng(seed)
    first, second = random.normal(0, 1.5, (2, rows))
    label = (random.random(rows) < expit(first + second)).astype(float)
    scores = {"first": expit(first), "second": expit(second), "nothing": np.full(rows, 0.5)}
    return Question("click", KINDS["binary"], scores, label, random.integers(300, size=rows))


def test_members_that_know_different_things_are_fused() -> None:
    answer = solve(two_halves(), TRIAL)
    record = answer.record
    assert not record["fallback"]
    assert 0 < record["gain"]["low"] < record["gain"]["value"] < record["gain"]["high"]
    assert record["served"] == record["fused"] < min(member["alone"] for member in record["members"].values())
    assert answer.weights["first"] == pytest.approx(0.5, abs=0.1)
    assert answer.weights["nothing"] < 0.1
    assert record["members"]["first"]["cost_of_leaving_out"] > 0.01
    assert record["members"]["nothing"]["cost_of_leaving_out"] < 0.002
    assert record["clusters"] == 300


def test_where_the_gain_is_not_sure_the_best_alone_serves() -> None:
    random = np.random.default_rng(1)
    score = random.normal(0, 2, 500)
    label = (random.random(500) < expit(score)).astype(float)
    scores = {"rough": expit(score + random.normal(0, 2, 500)), "best": expit(score)}
    answer = solve(Question("click", KINDS["binary"], scores, label, np.arange(500) % 60), TRIAL)
    assert answer.record["fallback"]
    assert answer.record["best"] == "best"
    assert answer.weights == {"rough": 0, "best": 1}
    assert answer.record["served"] == pytest.approx(answer.record["members"]["best"]["alone"])


def test_what_is_likely_better_serves_though_its_interval_holds_zero() -> None:
    """One member knows a little that the other does not: 95 % of resamples say so, and not 99 %."""
    random = np.random.default_rng(2)
    score, more = random.normal(0, 2, 500), random.normal(0, 1, 500)
    label = (random.random(500) < expit(score + 0.5 * more)).astype(float)
    scores = {"best": expit(score), "other": expit(0.7 * score + more)}
    question = Question("click", KINDS["binary"], scores, label, np.arange(500) % 60)
    answers = {sure: solve(question, replace(TRIAL, sure=sure)) for sure in (0.5, 0.9, 0.999)}
    gains = [answer.record["gain"] for answer in answers.values()]
    assert gains[0] == gains[1] == gains[2] and gains[0]["low"] < 0 < gains[0]["value"]
    assert [answer.record["fallback"] for answer in answers.values()] == [False, False, True]
    assert answers[0.9].weights["other"] > 0 and answers[0.999].weights == {"best": 1, "other": 0}


def test_evidence_is_the_same_each_time_and_knows_no_row_it_scores() -> None:
    question = two_halves(rows=600)
    assert solve(question, TRIAL).record == solve(question, TRIAL).record
    # noise with one cluster a row: in-sample calibration of useless members would show a gain
    random = np.random.default_rng(5)
    scores = {f"m{i}": random.dirichlet(np.ones(3), 60) for i in range(4)}
    noise = Question("profile", KINDS["multiclass"], scores, random.integers(3, size=60).astype(float), np.arange(60))
    assert solve(noise, TRIAL).record["fallback"]


def test_a_calibration_is_kept_only_where_it_helps() -> None:
    random = np.random.default_rng(6)
    target = random.normal(0, 1, 800)
    scores = {"biased": 2 * target + 1 + random.normal(0, 0.3, 800), "sound": target + random.normal(0, 0.2, 800)}
    question = Question("price", KINDS["regression"], scores, target, np.arange(800) % 80)
    answer = solve(question, TRIAL)
    assert answer.record["members"]["biased"]["is_calibrated"]
    calibration = answer.calibrations["biased"]
    assert calibration is not None
    assert calibration["scale"] == pytest.approx(0.5, abs=0.05)
    assert not answer.record["fallback"]
    assert answer.record["fused"] < 0.15 < answer.record["members"]["sound"]["alone"]
    raw = solve(question, Trial(5, 50, 0.95, 1, calibrate=False))
    assert raw.calibrations == {"biased": None, "sound": None}
    assert raw.record["members"]["biased"]["alone"] > 0.8


def test_rankings_count_each_query_once() -> None:
    random = np.random.default_rng(7)
    probabilities = random.dirichlet(np.ones(8), (2, 200))
    query = np.repeat(np.arange(200), 2)
    target = np.concatenate([random.choice(8, 2, p=p) for p in probabilities.mean(axis=0)])
    scores = {name: log_powers(p, query, target) for name, p in zip("ab", probabilities, strict=True)}
    record = solve(Question("next", KINDS["ranking"], scores, np.full(400, 0.5), query), TRIAL).record
    assert record["rows"] == 400
    assert record["clusters"] == 200
    assert not record["fallback"]


def test_one_member_serves_alone_and_one_user_is_refused() -> None:
    question = two_halves(rows=200)
    alone = Question("click", KINDS["binary"], {"first": question.scores["first"]}, question.target, question.cluster)
    answer = solve(alone, TRIAL)
    assert answer.weights == {"first": 1}
    assert answer.record["members"]["first"]["cost_of_leaving_out"] is None
    assert not answer.record["fallback"]
    with pytest.raises(TriadError, match=r"task click.*1 user"):
        solve(Question("click", KINDS["binary"], alone.scores, alone.target, np.zeros(200, int)), TRIAL)


def test_a_ranking_is_served_by_what_its_lists_are_worth() -> None:
    """However much likelier it makes what followed: a fusion whose lists are worse does not serve."""
    random = np.random.default_rng(3)
    query, target = np.arange(300), random.integers(0, 6, 300)
    scores = {name: log_powers(random.dirichlet(np.ones(6), 300), query, target) for name in "ab"}
    worth = {"a": random.random(300), "b": random.random(300) + 0.3}
    asked = []

    def judge(mixes: list[Mix], fold: np.ndarray) -> Judged:
        asked.append((len(mixes), fold.shape))
        fused = np.repeat(worth["b"][:, None] - 0.01, len(mixes[0].blends), axis=1)
        return Judged("NDCG@10", np.stack([worth["a"], worth["b"]], axis=1), fused, np.arange(300))

    answer = solve(Question("next", KINDS["ranking"], scores, np.ones(300), query, judge), TRIAL)
    assert asked == [(5, (300,))]
    assert answer.record["fallback"]
    assert answer.record["best"] == "b"
    assert answer.record["judged_by"] == "NDCG@10"
    assert answer.record["gain"]["value"] == pytest.approx(-0.01)
    assert answer.weights == {"a": 0, "b": 1}


def without_one(gain: float, looks: dict[str, float], rows: int = 400) -> Answer:
    """Three members whose lists are worth 0.3, and fused `gain` more; without one of them, `looks` more than that."""
    random = np.random.default_rng(4)
    query, target = np.arange(rows), random.integers(0, 6, rows)
    scores = {name: log_powers(random.dirichlet(np.ones(6), rows), query, target) for name in "abc"}
    alone = np.stack([random.normal(0.3 + lift, 0.05, rows) for lift in (0.01, 0, 0)], axis=1)

    def judge(mixes: list[Mix], fold: np.ndarray) -> Judged:
        assert [blend.weights[0][out] for blend, out in zip(mixes[0].blends[1:], "abc", strict=True)] == [0, 0, 0]
        fused = alone[:, :1] + gain + random.normal(0, 0.05, (rows, 1))
        more = np.array([0.0, *(looks.get(out, -1.0) for out in "abc")])
        return Judged("NDCG@10", alone, fused + more, np.arange(rows))

    return solve(
        Question("next", KINDS["ranking"], scores, np.ones(rows), query, judge), replace(TRIAL, bootstrap=4000)
    )


def test_a_member_without_which_lists_are_better_is_left_out() -> None:
    every, fewer = without_one(0.02, {}), without_one(-0.01, {"b": 0.03})
    assert every.record["left_out"] == []
    assert fewer.record["left_out"] == ["b"]
    assert not fewer.record["fallback"]
    assert fewer.weights["b"] == 0 and sum(fewer.weights.values()) == pytest.approx(1)
    assert fewer.record["gain"]["value"] == pytest.approx(every.record["gain"]["value"], abs=0.01)


def test_the_best_member_is_never_left_out_and_many_looks_need_more() -> None:
    record = without_one(-0.01, {"a": 0.5}).record
    assert (record["best"], record["left_out"], record["fallback"]) == ("a", [], True)
    error = 0.05 / 400**0.5
    width = (record["gain"]["high"] - record["gain"]["low"]) / 2 / error
    assert width == pytest.approx(norm.ppf(1 - 0.05 / 2 / 3), abs=0.2)
