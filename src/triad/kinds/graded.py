"""How well does it answer what was asked? The rows of a cluster, a query's products, are put in order by their scores.

Labels are grades, 0 for what is of no use. Nothing but the order within a cluster counts, with a gain of 2^grade - 1
(Burges et al. 2005); the loss, which calibrates and mixes members, is the squared error of the grade.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.kinds.base import Calibration, Cases, Judge, Metric
from triad.kinds.errors import Valued

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate

K = 10
"""Length of the lists that are judged."""


def _worth(scores: Floats, grades: Floats, cluster: Ints) -> tuple[Ints, Floats]:
    from triad.statistics.orders import ndcg

    clusters, query = np.unique(cluster, return_inverse=True)
    return clusters, np.nan_to_num(ndcg(scores, grades, query, len(clusters), K))


ORDER = Judge(f"NDCG@{K}", _worth)


class Graded(Valued):
    """Scores are expected grades."""

    name = "graded"
    noun = "judged products"
    orders = True
    loss_name = "squared error"
    judge: Judge | None = ORDER
    metrics = (
        Metric("graded_ndcg", f"NDCG of the first {K}"),
        Metric("best_first", "Best product first", in_percent=True),
    )
    tree_loss: Mapping[str, str | None] = MappingProxyType({"hist": "squared_error", "lightgbm": "l2"})

    def scaling(self, labels: Floats) -> tuple[float, float]:
        return float(labels.mean()), 1.0

    def loss(self, labels: Any, outputs: Any) -> Any:
        from keras import ops

        return ops.square(labels - outputs)

    def uncertainty(self, loss: Any, log_scale: Any) -> Any:
        """The likelihood of a normal law whose deviation is e^s: e^−2s · L / 2 + s."""
        from keras import ops

        return ops.exp(-2 * log_scale) * loss / 2 + log_scale

    def settled_log_scale(self, loss: float) -> float:
        return float(np.log(loss) / 2)

    def constant(self, labels: Floats, classes: int) -> Floats:
        return np.asarray(np.mean(labels))

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return float(np.square(labels - task["mean"]).mean())

    def error(self, difference: Floats) -> Floats:
        return np.square(difference)

    def least_error(self, contributions: Floats, labels: Floats) -> Floats:
        from triad.statistics.weights import squared_weights

        return squared_weights(contributions, labels)

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        """Least squares; a slope below zero would turn the order round, and is none."""
        spread = scores - scores.mean()
        scale = max(float(spread @ labels / max(spread @ spread, 1e-12)), 0.0)
        return {"scale": scale, "shift": float(labels.mean() - scale * scores.mean())}

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        """Over the clusters that hold anything of use."""
        from triad.statistics.orders import measure

        return measure(scores, cases.labels, cases.cluster, cases.draws, K)

    def enough(self, labels: Floats) -> bool:
        return bool((labels > 0).any())

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Any, cases: str = "cases") -> str:
        if "best_first" not in figures:
            return ""
        naive = figures.get("naive", {}).get("best_first")
        beside = f"; without learning it would for {naive:.1%}" if naive is not None else ""
        first = figures["best_first"]["value"]
        return f"For {first:.1%} of queries one of the best products stands first{beside}."


KIND = Graded()
