"""Weights by segment and the stacked logistic: what made the data is found again, and nothing is turned round."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.linear_model import LogisticRegression

from triad.config.fuse import FuseParams
from triad.fusion.blends import Blend, convex_weights
from triad.fusion.crossfit import solve
from triad.fusion.lists import Part, candidates
from triad.fusion.question import Question, Trial
from triad.kinds import KINDS
from triad.statistics.calibration import log_powers
from triad.statistics.stacking import log_choices, stacked_binary, stacked_classes, stacked_ranking
from triad.statistics.weights import mixture_weights

STACKED = Trial(5, 100, 0.95, 1, combine="stacked")


def test_a_blend_by_hand() -> None:
    scores = {"a": np.array([0.2, 0.2]), "b": np.array([0.6, 0.6])}
    by_segment = Blend(({"a": 1.0, "b": 0.0}, {"a": 0.25, "b": 0.75}), (5,))
    assert by_segment.mix(KINDS["binary"], scores, np.array([4, 5])) == pytest.approx([0.2, 0.5])
    assert by_segment.overall(np.array([0, 1, 2, 9])) == pytest.approx({"a": 0.8125, "b": 0.1875})
    stacked = Blend(({"a": 2.0, "b": 0.5},), bias=(0.1,))
    expected = expit(2 * logit(0.2) + 0.5 * logit(0.6) + 0.1)
    assert stacked.mix(KINDS["binary"], scores, np.zeros(2)) == pytest.approx([expected] * 2)
    lists = {"a": np.array([[0.5, 0.5, 0.0]]), "b": np.array([[0.2, 0.8, 0.0]])}
    pooled = Blend(({"a": 1.0, "b": 2.0},), bias=()).mix(KINDS["ranking"], lists, np.zeros(1))
    assert pooled == pytest.approx(np.array([[0.2**2, 0.8**2, 0]]) / (0.2**2 + 0.8**2))
    classes = Blend(({"a": 1.0, "b": 2.0},), bias=(0.0, 0.0, np.log(3))).mix(KINDS["multiclass"], lists, np.zeros(1))
    assert classes[0, 1] / classes[0, 0] == pytest.approx(16)
    for blend in (by_segment, stacked):
        assert Blend.from_json(asdict(blend)) == blend


def test_a_pull_of_many_rows_holds_and_of_none_lets_go() -> None:
    likelihood = np.random.default_rng(0).beta(2, 2, (300, 2)) * [1.0, 0.5]
    toward = np.array([0.3, 0.7])
    assert mixture_weights(likelihood, toward=toward, pull=1e6) == pytest.approx(toward, abs=1e-3)
    assert mixture_weights(likelihood, toward=toward, pull=0) == pytest.approx(mixture_weights(likelihood))
    grid = np.linspace(0.001, 0.999, 999)
    total = [np.log(likelihood @ [w, 1 - w]).sum() + 90 * (0.3 * np.log(w) + 0.7 * np.log(1 - w)) for w in grid]
    assert mixture_weights(likelihood, toward=toward, pull=90)[0] == pytest.approx(grid[np.argmax(total)], abs=0.002)


def test_each_segment_finds_its_own_weights_and_an_empty_one_has_the_wholes() -> None:
    random = np.random.default_rng(1)
    segment = np.repeat([0, 1], 3000)
    good, poor = random.uniform(0.5, 0.9, 6000), random.uniform(0.1, 0.5, 6000)
    contributions = np.where((segment == 0)[:, None], np.stack([good, poor], 1), np.stack([poor, good], 1))
    ones = np.ones(6000)
    found = convex_weights(KINDS["binary"], contributions, ones, ones, segment=segment, segments=3)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[0, 0] > 0.9 and found[1, 0] < 0.1
    assert found[2] == pytest.approx([0.5, 0.5], abs=0.05)


def test_stacking_finds_the_slopes_that_made_the_labels() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(-1, 1, (20_000, 2))
    label = (random.random(20_000) < expit(logits @ [1.5, 0.4] + 0.7)).astype(float)
    slopes, bias = stacked_binary(expit(logits), label)
    reference = LogisticRegression(C=np.inf).fit(logits, label)
    assert slopes == pytest.approx(reference.coef_[0], abs=0.01)
    assert bias == pytest.approx(reference.intercept_, abs=0.01)
    turned, _ = stacked_binary(expit(np.stack([logits[:, 0], -logits[:, 1]], 1)), label)
    assert turned[1] == 0

    log = log_softmax(random.normal(0, 1, (20_000, 3, 2)), axis=1)
    chance = softmax(log @ [1.2, 0.5] + [0, 0.3, -0.3], axis=1)
    classes = (random.random((20_000, 1)) > chance.cumsum(axis=1)).sum(axis=1)
    slopes, bias = stacked_classes(log, classes)
    assert slopes == pytest.approx([1.2, 0.5], abs=0.05)
    assert np.array(bias) - np.mean(bias) == pytest.approx([0, 0.3, -0.3], abs=0.05)

    first = np.argsort(np.arange(3) != classes[:, None], axis=1, kind="stable")  # the chosen one first
    chosen = np.take_along_axis(log, first[:, :, None], axis=1)
    padded = np.concatenate([chosen, np.full((20_000, 2, 2), -np.inf)], axis=1)
    without = log_choices(padded, np.array([1.0, 0.0]))  # a pad is no candidate, though a slope be 0
    assert without[:, :3] == pytest.approx(log_softmax(chosen[:, :, 0], axis=1))
    assert (without[:, 3:] == -np.inf).all()
    assert stacked_ranking(padded, np.ones(20_000)) == pytest.approx(stacked_ranking(chosen, np.ones(20_000)))


def test_candidates_are_the_target_and_each_members_best_others() -> None:
    scores = {"a": np.array([[0.5, 0.3, 0.15, 0.05]]), "b": np.array([[0.1, 0.2, 0.3, 0.4]])}
    part = Part(None, np.zeros(1, int), np.array([0]), np.array([3]), {})  # type: ignore[arg-type]  # asked for no rows
    found = candidates(part, scores, 2)
    assert found.shape == (1, 5, 2)
    assert np.exp(found[0, 0]) == pytest.approx([0.05, 0.4])
    others = found[0, 1:][np.isfinite(found[0, 1:, 0])]
    assert sorted(map(tuple, np.exp(others).round(3).tolist())) == [(0.15, 0.3), (0.3, 0.2), (0.5, 0.1)]


def test_a_stacked_fusion_beats_the_best_and_says_so() -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(0, 1.5, (2, 3000))
    label = (random.random(3000) < expit(first + second)).astype(float)
    scores = {"first": expit(first), "second": expit(second)}
    question = Question("click", KINDS["binary"], scores, label, random.integers(300, size=3000))
    stacked, convex = solve(question, replace(STACKED, calibrate=False)), solve(question, Trial(5, 100, 0.95, 1))
    assert not stacked.record["fallback"]
    assert stacked.record["fused"] < convex.record["fused"] - 0.01  # the logits really add up
    assert stacked.blend.bias is not None
    assert stacked.weights == pytest.approx({"first": 1.0, "second": 1.0}, abs=0.15)
    assert stacked.record["members"]["first"]["cost_of_leaving_out"] > 0.05


def test_a_stacked_multiclass_and_a_regression_that_stays_convex() -> None:
    random = np.random.default_rng(4)
    parts = random.normal(0, 1.5, (2, 2000, 3))
    chance = softmax(parts.sum(axis=0), axis=1)
    label = (random.random((2000, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype(float)
    scores = {"a": softmax(parts[0], axis=1), "b": softmax(parts[1], axis=1)}
    record = solve(Question("profile", KINDS["multiclass"], scores, label, np.arange(2000) % 200), STACKED).record
    assert not record["fallback"]
    target = random.normal(size=500)
    guess = {"a": target + random.normal(0, 0.3, 500), "b": target + random.normal(0, 0.3, 500)}
    answer = solve(Question("price", KINDS["regression"], guess, target, np.arange(500)), STACKED)
    assert answer.blend.bias is None
    assert sum(answer.weights.values()) == pytest.approx(1)


def test_a_stacked_ranking_is_fitted_on_candidates() -> None:
    random = np.random.default_rng(5)
    log = random.normal(0, 1, (2, 400, 12))
    chance = softmax(log.sum(axis=0), axis=1)
    target = np.array([random.choice(12, p=row) for row in chance])
    scores = {name: softmax(part, axis=1) for name, part in zip("ab", log, strict=True)}
    query = np.arange(400)
    part = Part(None, query, query, target, {})  # type: ignore[arg-type]  # asked for no rows
    question = Question(
        "next",
        KINDS["ranking"],
        {name: log_powers(values, query, target) for name, values in scores.items()},
        np.ones(400),
        query,
        candidates=candidates(part, scores, 6),
    )
    answer = solve(question, STACKED)
    assert answer.blend.bias == ()
    assert answer.weights == pytest.approx({"a": 1.0, "b": 1.0}, abs=0.35)
    assert all(member["cost_of_leaving_out"] > 0.05 for member in answer.record["members"].values())


def test_dials_that_contradict_are_refused() -> None:
    with pytest.raises(ValueError, match="convex"):
        FuseParams(combine="stacked", segments=(5,))
    with pytest.raises(ValueError, match="rise"):
        FuseParams(segments=(9, 5))
    with pytest.raises(ValueError, match="must rise"):
        FuseParams(trees=(200, 100))


def test_weights_are_found_however_alike_or_useless_the_members_are() -> None:
    for seed in range(300):
        random = np.random.default_rng(seed)
        rows, members = random.integers(5, 60), random.integers(2, 9)
        likelihood = random.random((rows, 1)) + random.normal(0, 10.0 ** -random.integers(1, 9), (rows, members))
        likelihood = np.clip(likelihood, 0, 1) ** random.choice([1, 8])
        if seed % 2:
            likelihood[:, 0] = 0
        with np.errstate(all="raise", under="ignore"):
            weights = mixture_weights(likelihood)
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
        held = np.maximum(likelihood, 1e-12)
        slope = (held / (held @ weights)[:, None]).mean(axis=0).max()
        assert slope < 1 + 2e-2, "the loss is that far from its least at most; small weights are dropped"
