"""What a kind of answer is: its loss, its naive answer, how it is calibrated, mixed, measured and shown.

Scores and labels are NumPy arrays, outside the network; there they are Keras tensors. Keras is imported inside the
methods that need it, so that whoever needs no network does not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from triad.arrays import Floats


class Kind(Protocol):
    """A kind of answer. A row's scores have `shape`; n rows are (n, *shape)."""

    name: str
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

    # loss of scores
    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        """(n,) what a loss is of, and what weights mix: the probability given to what happened, or the prediction."""

    def row_loss(self, contribution: Floats, labels: Floats, least: float = 1e-12) -> Floats:
        """Loss of each row, shaped as `contribution` (n,) or (n, members). No probability counts for under `least`."""
