"""Will it happen? The score is the probability that it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.likelihood import Likelihood, share_loss


class Binary(Likelihood):
    """Labels are 0 or 1."""

    name = "binary"
    is_event = True

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


KIND = Binary()
