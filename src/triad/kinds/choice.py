"""Which of the known answers is it, or none of them? Place 0 is none. Scores are probabilities; below a threshold of
confidence the question is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from triad.arrays import Floats
from triad.kinds.base import Calibration, Cases, Metric, Stacking
from triad.kinds.likelihood import LOG_LOSS
from triad.kinds.multiclass import Multiclass

if TYPE_CHECKING:
    from triad.statistics.bootstrap import Estimate


class Choice(Multiclass):
    """As multiclass, for answers that may be many, and may all be wrong."""

    name = "choice"
    noun = "labelled messages"
    refuses = True
    stacking: Stacking | None = None  # it would learn a bias of each answer, and there may be hundreds
    metrics = (
        Metric("accuracy", "Accuracy", in_percent=True),
        Metric("macro_f1", "Macro F1"),
        Metric("macro_recall", "Macro recall"),
        Metric("recall_first", "Right among the first ten", in_percent=True),
        Metric("refusal_auc", "Refusal AUC"),
        Metric("coverage", "Coverage at 95 % precision", in_percent=True),
        Metric("answered", "Answered", in_percent=True),
        Metric("precision", "Right where answered", in_percent=True),
        LOG_LOSS,
    )

    def fit_calibration(self, scores: Floats, labels: Floats) -> Calibration:
        """A temperature alone: a bias an answer would be fitted on a handful of rows each."""
        from triad.statistics.calibration import sharpness

        return {"slope": sharpness(scores, labels.astype(int)), "bias": 0.0}

    def measure(
        self, cases: Cases, scores: Floats, *, is_naive: bool = False, threshold: float | None = None
    ) -> dict[str, Estimate]:
        from triad.statistics.choices import choice

        bar = {} if threshold is None else {"threshold": threshold}
        return choice(cases.labels, scores, cases.cluster, cases.draws, guess=is_naive, **bar)

    def threshold(self, labels: Floats, scores: Floats) -> float | None:
        from triad.statistics.choices import threshold_of

        return threshold_of(labels, scores)

    def sentence(self, figures: Mapping[str, Any], k: int, miss: Callable[[float], str], cases: str = "cases") -> str:
        if "accuracy" not in figures:
            return ""
        naive = figures.get("naive", {}).get("accuracy")
        parts = [f"The model is right for {figures['accuracy']['value']:.1%} of messages"]
        if naive is not None:
            parts.append(f"; always giving the commonest answer would be for {naive:.1%}")
        if "answered" in figures and "precision" in figures:
            answered, precision = figures["answered"]["value"], figures["precision"]["value"]
            parts.append(f". It is sure enough to answer {answered:.1%} of them, and is then right for {precision:.1%}")
        return "".join(parts) + "."


KIND = Choice()
