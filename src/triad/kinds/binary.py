"""Will it happen? The score is the probability that it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Cases, Metric, Stacking
from triad.kinds.likelihood import LOG_LOSS, Likelihood, one_class, share_loss

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate

FEWEST = 10
"""Labels of either class that a slice must have."""


def fit_logits(scores: Floats, labels: Floats) -> tuple[Floats, tuple[float, ...]]:
    """A logistic regression on the members' logits."""
    from triad.statistics.stacking import stacked_binary

    return stacked_binary(scores, labels)


def pool_logits(scores: Mapping[str, Floats], slopes: Mapping[str, float], bias: tuple[float, ...]) -> Floats:
    """σ(Σ wₘ logit fₘ + b)."""
    from scipy.special import expit, logit

    from triad.statistics.solving import inside

    total = sum(slopes[name] * logit(inside(values)) for name, values in scores.items() if slopes[name])
    return expit(total + bias[0])


class Binary(Likelihood):
    """Labels are 0 or 1."""

    name = "binary"
    is_event = True
    is_classification = True
    stacking = Stacking(fit_logits, pool_logits)
    metrics = (
        Metric("auc", "AUC"),
        Metric("gauc", "AUC within a customer"),
        LOG_LOSS,
        Metric("calibration_error", "Calibration error", lower_is_better=True, is_pushed_up=True),
        Metric("accuracy", "Accuracy", in_percent=True),
        Metric("recall", "Recall"),
        Metric("f1", "F1"),
    )

    def shape(self, classes: int) -> tuple[int, ...]:
        return ()

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Cross-entropy of logits."""
        from keras import ops

        return ops.softplus(outputs) - labels * outputs

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        from scipy.special import expit

        return expit(outputs)

    def constant(self, labels: Floats, classes: int) -> Floats:
        return np.asarray(labels.mean())

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return share_loss(train, labels, 2)

    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        return np.where(labels > 0, scores, 1 - scores)

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        from triad.statistics.calibration import platt

        slope, intercept = platt(scores, labels)
        return {"slope": slope, "intercept": intercept}

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """logit(p) → slope · logit(p) + intercept."""
        from scipy.special import expit, logit

        from triad.statistics.solving import inside

        if calibration is None:
            return scores
        return expit(calibration["slope"] * logit(inside(scores)) + calibration["intercept"])

    def lack(self, labels: Floats, split: str) -> str:
        return one_class(labels, split)

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        from triad.statistics import metrics

        return metrics.binary(cases.labels, scores, cases.cluster, cases.draws, threshold)

    def gated(self, cases: Cases, scores: Floats) -> Estimate:
        from triad.statistics import metrics

        return metrics.auc(cases.labels > 0.5, scores, cases.cluster, cases.draws)

    def enough(self, labels: Floats) -> bool:
        """Of the rarer class: below, an AUC says nothing."""
        positives = int((labels > 0.5).sum())
        return min(positives, len(labels) - positives) >= FEWEST

    def threshold(self, labels: Floats, scores: Floats) -> float | None:
        """That of the highest F1."""
        from triad.statistics import metrics

        return metrics.best_threshold(labels, scores)

    def curves(self, labels: Floats, scores: Floats) -> Mapping[str, list[dict[str, float]]]:
        from triad.statistics import metrics

        return {
            "calibration": metrics.calibration_points(labels, scores),
            "roc": metrics.roc_points(labels, scores),
        }

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        if "auc" not in figures:
            return ""
        best = f"; the best possible is {figures['oracle']['auc']:.1%}" if "auc" in figures.get("oracle", {}) else ""
        return (
            "Of two cases, one where it happened and one where it did not, the model scores the first higher "
            f"in {figures['auc']['value']:.1%} of pairs (chance: 50%{best})."
        )


KIND = Binary()
