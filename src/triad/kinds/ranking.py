"""Which item of the catalogue comes next? The scores are the items' probabilities: a choice among many classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Cases, Metric, Stacking
from triad.kinds.multiclass import Multiclass, log_pool

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate


def fit_choices(scores: Floats, labels: Floats) -> tuple[Floats, tuple[float, ...]]:
    """A conditional logit that chooses among candidates; no item has a bias."""
    from triad.statistics.stacking import stacked_ranking

    return stacked_ranking(scores, labels), ()


def pool_possible(scores: Mapping[str, Floats], slopes: Mapping[str, float], bias: tuple[float, ...]) -> Floats:
    """softmax(Σ wₘ log fₘ); what all members leave out stays out."""
    from scipy.special import softmax

    possible = np.any([values > 0 for values in scores.values()], axis=0)
    return softmax(np.where(possible, log_pool(scores, slopes), -np.inf), axis=1)


class Ranking(Multiclass):
    """Labels are catalogue rows; a query may have several."""

    name = "ranking"
    ranks = True
    has_classes = False
    is_classification = False
    noun = "lists"
    stacking = Stacking(fit_choices, pool_possible)
    metrics = (
        Metric("ndcg", "NDCG", at_k=True),
        Metric("recall", "Recall", at_k=True),
        Metric("hit", "HIT", at_k=True),
        Metric("mrr", "MRR"),
    )

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        from triad.statistics.calibration import POWERS

        return {"power": POWERS[int(np.argmax(labels @ scores))]}

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """p → p^power, renormalised; what is impossible stays so."""
        if (power := exponent(calibration)) == 1:
            return scores
        raised = scores ** scores.dtype.type(power)  # of single precision a logarithm and a softmax cost three times it
        raised /= raised.sum(axis=1, keepdims=True)
        return raised

    def calibrated_contribution(self, calibration: Calibration, scores: Floats, labels: Floats) -> Floats:
        from triad.statistics.calibration import POWERS

        return np.exp(scores[:, POWERS.index(exponent(calibration))])

    def row_weights(self, labels: Floats) -> Floats:
        return labels

    def lack(self, labels: Floats, split: str) -> str:
        return ""

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        from triad.statistics import metrics

        return metrics.ranking(scores, cases.cluster, cases.draws)

    def alike(self, scores: Floats) -> Floats:
        """The reciprocal rank of what followed."""
        return scores[:, 3]

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        if "hit" not in figures:
            return ""
        naive = figures.get("naive", {}).get("hit")
        beside = f"; a list of the most popular items holds it for {naive:.1%}" if naive is not None else ""
        hit = figures["hit"]["value"]
        return f"A list of {k} items holds what the customer turns to next for {hit:.1%} of cases{beside}."


def exponent(calibration: Calibration) -> float:
    """The power of a ranking's calibration."""
    return 1.0 if calibration is None else float(calibration["power"])


KIND = Ranking()
