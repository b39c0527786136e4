"""What the kinds share whose scores are probabilities, and whose loss is −log of the one given to what happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Metric, Plain

LOG_LOSS = Metric("log_loss", "Log loss", lower_is_better=True)


class Likelihood(Plain):
    """The parts of `Kind` that follow from this loss."""

    loss_name = "log loss"
    tree_loss: Mapping[str, str | None] = MappingProxyType({"hist": "log_loss", "lightgbm": None})

    def scaling(self, labels: Floats) -> tuple[float, float]:
        return 0.0, 1.0

    def uncertainty(self, loss: Any, log_scale: Any) -> Any:
        """A likelihood tempered by σ² gives e^−s · L + s / 2, with s = log σ²."""
        from keras import ops

        return ops.exp(-log_scale) * loss + log_scale / 2

    def settled_log_scale(self, loss: float) -> float:
        return math.log(2 * loss)

    def row_loss(self, contribution: Floats, labels: Floats, least: float = 1e-12) -> Floats:
        return -np.log(np.maximum(contribution, least))

    def convex_weights(
        self, contributions: Floats, labels: Floats, row_weights: Floats, toward: Floats | None = None
    ) -> Floats:
        """A segment's weights are drawn toward the whole's, by as much as `PULL` rows."""
        from triad.statistics.weights import PULL, mixture_weights

        if toward is None:
            return mixture_weights(contributions, row_weights)
        return mixture_weights(contributions, row_weights, toward=toward, pull=PULL) if len(labels) else toward


def one_class(labels: Floats, split: str) -> str:
    """What labels of one class lack; "" where there are two."""
    classes = np.unique(labels)
    if len(classes) > 1:
        return ""
    return f"all {len(labels)} labels of split {split} are of one class ({classes[0]:g})"


def share_loss(train: Floats, labels: Floats, classes: int) -> float:
    """Log loss on `labels` of the classes' shares in `train`; add-one smoothing keeps it finite."""
    counts = 1 + np.bincount(train.astype(int), minlength=classes)
    return float(-np.log(counts / counts.sum())[labels.astype(int)].mean())
