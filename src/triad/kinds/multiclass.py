"""Which of a few named classes is it? The scores are the probabilities of the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.kinds.base import Calibration, Cases, Metric, Stacking
from triad.kinds.likelihood import LOG_LOSS, Likelihood, one_class, share_loss

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate


def fit_logs(scores: Floats, labels: Floats) -> tuple[Floats, tuple[float, ...]]:
    """A softmax regression on the members' log probabilities."""
    from triad.statistics.stacking import stacked_classes

    return stacked_classes(np.log(np.maximum(scores, 1e-12)), labels.astype(int))


def log_pool(scores: Mapping[str, Floats], slopes: Mapping[str, float]) -> Floats:
    """Σ wₘ log fₘ over the members with a slope."""
    parts = (slopes[name] * np.log(np.maximum(values, 1e-12)) for name, values in scores.items() if slopes[name])
    return np.asarray(sum(parts))


def pool_logs(scores: Mapping[str, Floats], slopes: Mapping[str, float], bias: tuple[float, ...]) -> Floats:
    """softmax(Σ wₘ log fₘ + b)."""
    from scipy.special import softmax

    return softmax(log_pool(scores, slopes) + np.array(bias), axis=1)


def by_class(values: Floats, theirs: Sequence[str], ours: Sequence[str]) -> Floats:
    """(n, len(ours)) the columns of `values`, named `theirs`, in our order; 0 where they have none."""
    ordered = np.zeros((len(values), len(ours)))
    place = {name: column for column, name in enumerate(theirs)}
    for column, name in enumerate(ours):
        if name in place:
            ordered[:, column] = values[:, place[name]]
    return ordered


class Multiclass(Likelihood):
    """Labels are places among the classes."""

    name = "multiclass"
    has_classes = True
    is_classification = True
    stacking: Stacking | None = Stacking(fit_logs, pool_logs)
    metrics: tuple[Metric, ...] = (
        Metric("macro_f1", "Macro F1"),
        LOG_LOSS,
        Metric("accuracy", "Accuracy", in_percent=True),
        Metric("macro_recall", "Macro recall"),
    )

    def shape(self, classes: int) -> tuple[int, ...]:
        return (classes,)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Cross-entropy of class numbers (n,) under logits (n, classes)."""
        from keras import ops

        chosen = ops.one_hot(ops.cast(labels, "int32"), ops.shape(outputs)[-1], dtype=outputs.dtype)
        return ops.logsumexp(outputs, axis=-1) - ops.sum(chosen * outputs, axis=-1)

    def scores(self, outputs: Floats, mean: float, scale: float) -> Floats:
        from scipy.special import softmax

        return softmax(outputs, axis=1)

    def constant(self, labels: Floats, classes: int) -> Floats:
        """The classes' shares, with one row added to each."""
        count = np.bincount(labels.astype(int), minlength=classes) + 1.0
        return count / count.sum()

    def naive_loss(self, train: Floats, labels: Floats, task: Mapping[str, Any]) -> float:
        return share_loss(train, labels, len(task["classes"]))

    def contribution(self, scores: Floats, labels: Floats) -> Floats:
        return scores[np.arange(len(scores)), labels.astype(int)]

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        from triad.statistics.calibration import temperature

        slope, bias = temperature(scores, labels.astype(int))
        return {"slope": slope, "bias": bias}

    def calibrate(self, calibration: Calibration, scores: Floats) -> Floats:
        """log p → slope · log p + bias, renormalised."""
        from scipy.special import log_softmax

        from triad.statistics.solving import inside

        if calibration is None:
            return scores
        log = calibration["slope"] * np.log(inside(scores)) + np.array(calibration["bias"])
        return np.exp(log_softmax(log, axis=1))

    def lack(self, labels: Floats, split: str) -> str:
        return one_class(labels, split) if split == "train" else ""

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        """The naive answer draws a class by its share."""
        from triad.statistics import metrics

        return metrics.multiclass(cases.labels, scores, cases.cluster, cases.draws, guess=is_naive)

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        if "accuracy" not in figures:
            return ""
        naive = figures.get("naive", {}).get("accuracy")
        beside = f"; always naming the commonest class would be right for {naive:.1%}" if naive is not None else ""
        return f"The model names the right class for {figures['accuracy']['value']:.1%} of {cases}{beside}."


KIND = Multiclass()
