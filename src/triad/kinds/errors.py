"""What the kinds share whose scores are values in the label's unit, and whose loss is an error of that value."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Plain


class Valued(Plain):
    """The parts of `Kind` that follow from such a loss."""

    stacking = None
    is_classification = False

    @abstractmethod
    def error(self, difference: Floats) -> Floats:
        """The loss of a score that is off by so much."""

    @abstractmethod
    def least_error(self, contributions: Floats, labels: Floats) -> Floats:
        """(m,) weights w ≥ 0, Σ w = 1, of the least error of `contributions` (n, m)."""

    def shape(self, classes: int) -> tuple[int, ...]:
        return ()

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        return outputs * np.float32(scale) + np.float32(mean)

    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        return scores

    def row_loss(self, contribution: Floats, labels: Floats, least: float = 1e-12) -> Floats:
        return self.error(contribution - (labels if contribution.ndim == 1 else labels[:, None]))

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """x → scale · x + shift."""
        return scores if calibration is None else calibration["scale"] * scores + calibration["shift"]

    def convex_weights(
        self, contributions: Floats, labels: Floats, row_weights: Floats, toward: Floats | None = None
    ) -> Floats:
        """A segment of fewer than `PULL` rows has the whole's weights."""
        from triad.statistics.weights import PULL

        return toward if toward is not None and len(labels) < PULL else self.least_error(contributions, labels)
