"""How much will it be? The score is a value in the label's unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Cases, Metric
from triad.kinds.errors import Valued

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate


class Regression(Valued):
    """The loss is the absolute error: its minimiser is the conditional median."""

    name = "regression"
    loss_name = "absolute error"
    metrics = (
        Metric("relative_gain", "Naive error removed", in_percent=True),
        Metric("mae", "Mean absolute error", lower_is_better=True),
        Metric("rmse", "Root mean squared error", lower_is_better=True),
    )
    tree_loss: Mapping[str, str | None] = MappingProxyType({"hist": "absolute_error", "lightgbm": "mae"})

    def scaling(self, labels: Floats) -> tuple[float, float]:
        return float(np.median(labels)), float(labels.std()) or 1.0

    def loss(self, labels: Any, outputs: Any) -> Any:
        from keras import ops

        return ops.abs(labels - outputs)

    def uncertainty(self, loss: Any, log_scale: Any) -> Any:
        """An absolute error is the likelihood of Laplace's law; a scale of e^s gives e^−s · L + s."""
        from keras import ops

        return ops.exp(-log_scale) * loss + log_scale

    def settled_log_scale(self, loss: float) -> float:
        return math.log(loss)

    def constant(self, labels: Floats, classes: int) -> Floats:
        return np.asarray(np.median(labels))

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return float(np.abs(labels - task["mean"]).mean() / task["scale"])

    def error(self, difference: Floats) -> Floats:
        return np.abs(difference)

    def least_error(self, contributions: Floats, labels: Floats) -> Floats:
        from triad.statistics.weights import absolute_weights

        return absolute_weights(contributions, labels)

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        from triad.statistics.weights import absolute_line

        scale, shift = absolute_line(scores, labels)
        return {"scale": scale, "shift": shift}

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        from triad.statistics import metrics

        return metrics.regression(cases.labels, scores, cases.naive, cases.cluster, cases.draws)

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        if "mae" not in figures:
            return ""
        gain, mae = figures.get("relative_gain", {}).get("value", 0.0), figures["mae"]["value"]
        change = f"{abs(gain):.1%} {'smaller' if gain >= 0 else 'larger'}"
        shown = self.metrics[1].number(mae)
        return f"The average miss is {shown}{miss(mae)}: {change} than that of the naive guess."


KIND = Regression()
