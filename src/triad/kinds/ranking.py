"""Which item of the catalogue comes next? The scores are the items' probabilities: a choice among many classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Stacking
from triad.kinds.multiclass import Multiclass, log_pool


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
    stacking = Stacking(fit_choices, pool_possible)

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        from triad.statistics.calibration import POWERS

        return {"power": POWERS[int(np.argmax(labels @ scores))]}

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """p → p^power, renormalised; what is impossible stays so."""
        from scipy.special import log_softmax

        if (power := exponent(calibration)) == 1:
            return scores
        with np.errstate(divide="ignore"):
            return np.exp(log_softmax(power * np.log(scores), axis=1))

    def calibrated_contribution(self, calibration: Calibration, scores: Floats, labels: Floats) -> Floats:
        from triad.statistics.calibration import POWERS

        return np.exp(scores[:, POWERS.index(exponent(calibration))])

    def row_weights(self, labels: Floats) -> Floats:
        return labels


def exponent(calibration: Calibration) -> float:
    """The power of a ranking's calibration."""
    return 1.0 if calibration is None else float(calibration["power"])


KIND = Ranking()
