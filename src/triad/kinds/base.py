"""What a kind of answer is: its loss, its naive answer, how it is calibrated, mixed, measured and shown.

Scores and labels are NumPy arrays, outside the network; there they are Keras tensors. Keras is imported inside the
methods that need it, so that whoever needs no network does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from triad.arrays import Floats, Ints

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Draws, Estimate

Calibration = dict[str, Any] | None
"""Plain numbers, fit for JSON; None is the identity."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit, and how it is shown."""

    name: str
    title: str
    lower_is_better: bool = False
    in_percent: bool = False
    at_k: bool = False
    """Whether it looks at the first k of a list."""
    is_pushed_up: bool = False
    """Whether resampling itself pushes it upwards, so that its interval is reflected."""

    def heading(self, k: int) -> str:
        """The metric's name as shown."""
        return f"{self.title}@{k}" if self.at_k else self.title

    def number(self, value: float) -> str:
        """A figure as shown: shares in percent, others with digits enough to tell models apart."""
        if self.in_percent:
            return f"{value:.1%}"
        return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.4f}"

    def signed(self, value: float) -> str:
        """A difference as shown."""
        return f"{100 * value:+.1f} points" if self.in_percent else f"{value:+.4f}"


@dataclass(frozen=True)
class Judge:
    """What answers are worth where their loss does not say."""

    by: str
    """The figure, as shown."""
    worth: Callable[[Floats, Floats, Ints], tuple[Ints, Floats]]
    """Of scores, labels and clusters (n,): the clusters, and what the answers to each are worth; more is better."""


@dataclass(frozen=True)
class Cases:
    """Labelled rows of a window; of a ranking its queries, whose scores are the `ranking_values` of their lists."""

    labels: Floats  # (n,); of a ranking of no meaning
    naive: Floats  # (n, …) what is answered without learning
    cluster: Ints  # (n,) whose rows are drawn together
    draws: Draws

    def __getitem__(self, rows: Any) -> Cases:
        return Cases(self.labels[rows], self.naive[rows], self.cluster[rows], self.draws)


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

    orders: bool
    """The answer orders the rows of a cluster: a query's products."""

    has_classes: bool
    """Labels are places among a few named classes."""
    refuses: bool
    """Place 0 of the classes is none of them: below a threshold of confidence, learned with the fusion, a question is
    refused."""

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
    def constant(self, labels: Floats, classes: int) -> Floats:
        """(*shape) the best constant score for train `labels`."""

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

    # examples
    def lack(self, labels: Floats, split: str) -> str:
        """What the `labels` of a split, at least one, lack to be learned, calibrated or measured; "" if nothing."""

    judge: Judge | None
    """None where the loss says what an answer is worth."""

    # evaluation
    metrics: tuple[Metric, ...]
    """In the order in which they are shown; more of the first, which the gate and the slices look at, is better."""
    noun: str
    """What rows are called."""

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        """Metric → its value and resamples.

        Args:
            scores: (n, *shape); of a ranking (n, 4).
            is_naive: whether these are the naive scores.
            threshold: the score from which an event is called; None leaves out the metrics that need one.
        """

    def gated(self, cases: Cases, scores: Floats) -> Estimate:
        """The first of the metrics alone."""

    def enough(self, labels: Floats) -> bool:
        """Whether a slice of such labels can be judged."""

    def threshold(self, labels: Floats, scores: Floats) -> float | None:
        """The score from which an event is called, or the confidence from which a refusing kind answers; else None."""

    def curves(self, labels: Floats, scores: Floats) -> Mapping[str, list[dict[str, float]]]:
        """Points of the curves that are drawn, "calibration" and "roc"; of other kinds none."""

    def alike(self, scores: Floats) -> Floats:
        """(m,) numbers whose order tells how alike two members are, of scores as `measure` takes them."""

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        """The main figure in words, from a task's entry in metrics.json; "" where it could not be measured.

        Args:
            k: length of lists.
            miss: what a mean absolute error means for the task's label, in words to add.
            cases: what the rows are about.
        """


class Plain:
    """The parts of `Kind` that most kinds share: a row's scores are at hand whole, and any label will do."""

    ranks = False
    is_event = False
    orders = False
    has_classes = False
    refuses = False
    judge: Judge | None = None
    noun = "labelled cases"

    def calibrated_contribution(self: Kind, calibration: Calibration, scores: Floats, labels: Floats) -> Floats:
        return self.contribution(self.calibrate(calibration, scores), labels)

    def row_weights(self, labels: Floats) -> Floats:
        return np.ones(len(labels))

    def lack(self, labels: Floats, split: str) -> str:
        return ""

    def gated(self: Kind, cases: Cases, scores: Floats) -> Estimate:
        return self.measure(cases, scores)[self.metrics[0].name]

    def enough(self, labels: Floats) -> bool:
        return True

    def threshold(self, labels: Floats, scores: Floats) -> float | None:
        return None

    def curves(self, labels: Floats, scores: Floats) -> Mapping[str, list[dict[str, float]]]:
        return {}

    def alike(self, scores: Floats) -> Floats:
        return scores.ravel()
