"""What a kind of answer is: its loss, its naive answer, how it is calibrated, mixed, measured and shown.

Scores and labels are NumPy arrays, outside the network; there they are Keras tensors. Keras is imported inside the
methods that need it, so that whoever needs no network does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from triad.arrays import Floats

Calibration = dict[str, Any] | None
"""Plain numbers, fit for JSON; None is the identity."""


@dataclass(frozen=True)
class Stacking:
    """A logistic regression on members' calibrated scores.

    Args:
        fit: (m,) slopes ≥ 0 and the bias, of scores (n, *shape, m) and labels (n,); of rankings, log probabilities of
            candidates (n, candidates, m), of which place 0 was chosen, and the weight of each choice.
        pool: (n, *shape) scores of members' scores, by their slopes and the bias.
    """

    fit: Callable[[Floats, Floats], tuple[Floats, tuple[float, ...]]]
    pool: Callable[[Mapping[str, Floats], Mapping[str, float], tuple[float, ...]], Floats]


class Kind(Protocol):
    """A kind of answer. A row's scores have `shape`; n rows are (n, *shape)."""

    name: str
    ranks: bool
    """The answer orders the whole catalogue; else it scores a row."""
    is_event: bool
    """The answer is the probability that something happens: another task may be `given` it, a threshold makes it a yes
    or no, and a network's output may begin as the dot product of user and item."""

    # the network
    def shape(self, classes: int) -> tuple[int, ...]:
        """Shape of one row's scores, and of the network's outputs for it."""

    def scaling(self, labels: Floats) -> tuple[float, float]:
        """(mean, scale) by which a network's labels are standardised."""

    def loss(self, labels: Any, outputs: Any) -> Any:
        """(n,) loss of tensors: `labels` (n,) standardised, `outputs` (n, *shape)."""

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        """(n, *shape) scores from a network's outputs: probabilities, or values in the label's unit."""

    def uncertainty(self, loss: Any, log_scale: Any) -> Any:
        """A task's loss weighted by its own noise, s = `log_scale` (Kendall et al. 2018)."""

    def settled_log_scale(self, loss: float) -> float:
        """The `log_scale` at which `uncertainty` is least, for a task whose loss is `loss` > 0."""

    # without learning
    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        """Mean loss on `labels` of the best constant of the `train` labels, as the network's loss counts it.

        Args:
            task: the network's own description, with its classes, mean and scale.
        """

    # calibration
    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        """The map of `scores` that fits `labels` best, and keeps their order.

        Args:
            scores: (n, *shape); of rankings, whose lists would not fit in memory, (n, powers) as `log_powers`.
            labels: (n,); of rankings the weight of each target.
        """

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """`scores` (n, *shape) mapped."""

    # loss of scores
    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        """(n,) what a loss is of, and what weights mix: the probability given to what happened, or the prediction."""

    def row_loss(self, contribution: Floats, labels: Floats, least: float = 1e-12) -> Floats:
        """Loss of each row, shaped as `contribution` (n,) or (n, members). No probability counts for under `least`."""

    def calibrated_contribution(self, calibration: Calibration, scores: Floats, labels: Floats) -> Floats:
        """(n,) `contribution` of calibrated scores; both arguments as those of `fit_calibration`."""

    loss_name: str

    def row_weights(self, labels: Floats) -> Floats:
        """(n,) weight of each row in means, of labels as those of `fit_calibration`."""

    # mixing of members
    def convex_weights(
        self, contributions: Floats, labels: Floats, row_weights: Floats, toward: Floats | None = None
    ) -> Floats:
        """(m,) weights w ≥ 0, Σ w = 1, of the least loss of `contributions` (n, m).

        Args:
            toward: (m,) the whole's weights, where the rows are those of a segment.
        """

    stacking: Stacking | None
    """The logistic regression on members' scores; None where there is none."""

    # boosted trees
    is_classification: bool
    """Whether labels are classes, so that a classifier learns them."""
    tree_loss: Mapping[str, str | None]
    """Library of boosted trees → what they lower; None is the library's own choice by the number of classes."""


class WholeRows:
    """The part of `Kind` where the scores of a row are at hand whole."""

    def calibrated_contribution(self: Kind, calibration: Calibration, scores: Floats, labels: Floats) -> Floats:
        return self.contribution(self.calibrate(calibration, scores), labels)
