"""Which of a few named classes is it? The scores are the probabilities of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.likelihood import Likelihood, share_loss


class Multiclass(Likelihood):
    """Labels are places among the classes."""

    name = "multiclass"
    is_event = False

    def shape(self, classes: int) -> tuple[int, ...]:
        return (classes,)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Cross-entropy of class numbers (n,) under logits (n, classes)."""
        from keras import ops

        chosen = ops.one_hot(ops.cast(labels, "int32"), ops.shape(outputs)[-1], dtype=outputs.dtype)
        return ops.logsumexp(outputs, axis=-1) - ops.sum(chosen * outputs, axis=-1)

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        from scipy.special import softmax

        return softmax(outputs, axis=1)

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return share_loss(train, labels, len(task["classes"]))

    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        return scores[np.arange(len(scores)), labels.astype(int)]


KIND = Multiclass()
