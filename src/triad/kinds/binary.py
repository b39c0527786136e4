"""Will it happen? The score is the probability that it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Stacking, WholeRows
from triad.kinds.likelihood import Likelihood, share_loss


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


class Binary(WholeRows, Likelihood):
    """Labels are 0 or 1."""

    name = "binary"
    is_event = True
    is_classification = True
    stacking = Stacking(fit_logits, pool_logits)

    def shape(self, classes: int) -> tuple[int, ...]:
        return ()

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Cross-entropy of logits."""
        from keras import ops

        return ops.softplus(outputs) - labels * outputs

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        from scipy.special import expit

        return expit(outputs)

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


KIND = Binary()
