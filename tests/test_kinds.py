"""Each kind of answer is complete: whatever lies in kinds/ has a naive answer, a calibration, metrics and words."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from triad.config.profile import ProfileParams
from triad.kinds import KINDS, find_metric
from triad.kinds.base import Cases, Kind
from triad.statistics.bootstrap import draw
from triad.statistics.calibration import log_powers

ROWS, CLASSES = 400, 3
each = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def sample(kind: Kind, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that know something of them; the sharper the more."""
    random = np.random.default_rng(0)
    if kind.shape(CLASSES):
        labels = random.integers(CLASSES, size=ROWS).astype(float)
        logits = random.normal(size=(ROWS, CLASSES)) + sharp * np.eye(CLASSES)[labels.astype(int)]
        return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if kind.is_event:
        labels = random.integers(2, size=ROWS).astype(float)
        return labels, 1 / (1 + np.exp(-random.normal(size=ROWS) - sharp * (labels - 0.5)))
    labels = random.normal(size=ROWS)
    return labels, labels + random.normal(size=ROWS) / sharp


def cases(kind: Kind) -> tuple[Cases, np.ndarray]:
    """Rows as `measure` takes them; of a ranking the values of its lists stand for their scores."""
    labels, scores = sample(kind)
    if kind.ranks:
        scores = np.abs(np.random.default_rng(1).normal(size=(ROWS, 4)))
    naive = np.broadcast_to(kind.constant(labels, CLASSES), scores.shape) if not kind.ranks else scores
    return Cases(labels, naive, np.arange(ROWS) % 50, draw(50, 20, 1)), scores


@each
def test_the_naive_answer_is_a_score_and_the_best_constant(kind: Kind) -> None:
    labels, scores = sample(kind)
    constant = np.broadcast_to(kind.constant(labels, CLASSES), scores.shape)
    mean, scale = kind.scaling(labels)
    described = {"classes": list("abc"), "mean": mean, "scale": scale}
    naive = kind.naive_loss(labels, labels, described)
    own = kind.row_loss(kind.contribution(constant, labels), labels).mean() / scale
    assert naive == pytest.approx(own, rel=0.01) and naive > 0
    better = kind.row_loss(kind.contribution(scores, labels), labels).mean() / scale
    assert better < naive


@each
def test_what_is_given_back_of_outputs_has_the_shape(kind: Kind) -> None:
    assert kind.scores(np.zeros((5, *kind.shape(CLASSES)), np.float32), 0.0, 1.0).shape == (5, *kind.shape(CLASSES))


@each
def test_a_calibration_helps_and_none_changes_nothing(kind: Kind) -> None:
    labels, scores = sample(kind)
    spoilt = 2 * scores + 1 if not kind.shape(CLASSES) and not kind.is_event else scores**2
    if kind.shape(CLASSES):
        spoilt /= spoilt.sum(axis=1, keepdims=True)
    assert kind.calibrate(None, spoilt) is spoilt
    evidence = log_powers(spoilt, np.arange(ROWS), labels.astype(int)) if kind.ranks else spoilt
    truth = np.ones(ROWS) if kind.ranks else labels
    found = kind.fit_calibration(evidence, truth)
    losses = [
        kind.row_loss(kind.contribution(kind.calibrate(how, spoilt), labels), labels).mean() for how in (None, found)
    ]
    assert losses[1] < losses[0]
    contribution = kind.contribution(kind.calibrate(found, spoilt), labels)
    assert kind.calibrated_contribution(found, evidence, truth) == pytest.approx(contribution)
    assert kind.row_weights(truth).shape == (ROWS,)


@each
def test_members_are_mixed(kind: Kind) -> None:
    labels, good = sample(kind)
    _, poor = sample(kind, sharp=0.1)
    columns = np.stack([kind.contribution(scores, labels) for scores in (good, poor)], axis=1)
    weights = kind.convex_weights(columns, labels, np.ones(ROWS))
    assert weights.sum() == pytest.approx(1) and weights.min() >= 0
    assert kind.convex_weights(columns[:0], labels[:0], np.ones(0), toward=weights) == pytest.approx(weights)
    if kind.stacking is not None:
        pooled = kind.stacking.pool({"good": good, "poor": poor}, {"good": 1.0, "poor": 0.0}, (0.0,))
        assert pooled == pytest.approx(good)


@each
def test_metrics_have_a_direction_and_the_gated_one_is_the_first(kind: Kind) -> None:
    names = [metric.name for metric in kind.metrics]
    assert len(set(names)) == len(names) and not kind.metrics[0].lower_is_better
    of, scores = cases(kind)
    found = kind.measure(of, scores, threshold=0.5 if kind.is_event or kind.refuses else None)
    few = {"recall_first"}  # says something of more than ten classes alone
    assert set(names) - few <= set(found) <= set(names) and all(estimate.shape == (21,) for estimate in found.values())
    assert np.array_equal(kind.gated(of, scores), found[names[0]])
    assert set(kind.measure(of, of.naive, is_naive=True)) <= set(names)
    assert kind.alike(scores).ndim == 1


@each
def test_figures_are_told(kind: Kind) -> None:
    figures = {metric.name: {"value": 0.25} for metric in kind.metrics}
    assert kind.sentence({}, 10, lambda _: "") == "" and "25.0%" in kind.sentence(figures, 10, lambda _: "")
    for metric in kind.metrics:
        assert metric.title and metric.heading(10).endswith("@10") == metric.at_k
        assert find_metric(metric.name).lower_is_better == metric.lower_is_better


@each
def test_what_labels_lack_is_said(kind: Kind) -> None:
    labels, scores = sample(kind)
    assert kind.lack(labels, "train") == "" and kind.enough(labels)
    assert ("one class" in kind.lack(np.zeros(9), "train")) == (kind.is_classification)
    bar = kind.threshold(labels, scores)
    assert (bar is not None) == (kind.is_event or kind.refuses)
    assert bool(kind.curves(labels, scores)) == kind.is_event
    assert set(kind.tree_loss) == set(get_args(ProfileParams.model_fields["trees"].annotation))
