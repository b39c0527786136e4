"""How much will it be? The score is a value in the label's unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats


class Regression:
    """The loss is the absolute error: its minimiser is the conditional median."""

    name = "regression"
    is_event = False

    def shape(self, classes: int) -> tuple[int, ...]:
        return ()

    def scaling(self, labels: Floats) -> tuple[float, float]:
        return float(np.median(labels)), float(labels.std()) or 1.0

    def loss(self, labels: Any, outputs: Any) -> Any:
        from keras import ops

        return ops.abs(labels - outputs)

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        return outputs * np.float32(scale) + np.float32(mean)

    def uncertainty(self, loss: Any, log_scale: Any) -> Any:
        """An absolute error is the likelihood of Laplace's law; a scale of e^s gives e^−s · L + s."""
        from keras import ops

        return ops.exp(-log_scale) * loss + log_scale

    def settled_log_scale(self, loss: float) -> float:
        return math.log(loss)

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return float(np.abs(labels - task["mean"]).mean() / task["scale"])

    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        return scores

    def row_loss(self, contribution: Floats, labels: Floats, least: float = 1e-12) -> Floats:
        return np.abs(contribution - (labels if contribution.ndim == 1 else labels[:, None]))


KIND = Regression()
