"""One task's rows on the fusion window, what members answer on them, and how their answers are mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from triad.arrays import Floats, Ints
from triad.fusion.blends import Blend, convex_weights
from triad.kinds.base import Calibration, Kind
from triad.kinds.ranking import exponent
from triad.statistics.stacking import log_choices

if TYPE_CHECKING:
    from triad.fusion.correction import Context, Correction
    from triad.fusion.reranker import Reranker
    from triad.fusion.reranking import Lesson


@dataclass(frozen=True)
class Mix:
    """What one fold's fit made of the members: of all, and of all but one."""

    calibrations: dict[str, Calibration]
    blends: list[Blend]


@dataclass(frozen=True)
class Judged:
    """What the answers are worth, more is better, where that is not the loss."""

    by: str
    alone: Floats  # (n, members)
    fused: Floats  # (n, blends)
    cluster: Ints  # (n,)
    likelihood: Floats | None = None  # (targets, blends) that the mixes gave to what happened


@dataclass(frozen=True)
class Question:
    """One task's rows on the fusion window, and every member's answer."""

    task: str
    kind: Kind
    scores: dict[str, Floats]  # member → as `fit_calibration` takes them
    target: Floats  # (n,) labels; for rankings each target's weight
    cluster: Ints  # (n,) who is drawn together
    judge: Callable[[list[Mix], Ints], Judged] | None = None  # of each fold's mix and each row's fold
    history: Ints | None = None  # (n,) interactions before; for weights by segment
    candidates: Floats | None = None  # (n, candidates, members) log probabilities, place 0 the target: to stack
    lesson: Lesson | None = None  # of rankings: to learn an order of
    context: Context | None = None  # of events: to learn a correction by

    def take(self, rows: Ints) -> Question:
        scores = {name: values[rows] for name, values in self.scores.items()}
        return replace(
            self,
            scores=scores,
            target=self.target[rows],
            cluster=self.cluster[rows],
            history=None if self.history is None else self.history[rows],
            candidates=None if self.candidates is None else self.candidates[rows],
        )

    @property
    def steps(self) -> Ints:
        """(n,) `history`, 0 where it is not given."""
        return np.zeros(len(self.target), np.int64) if self.history is None else self.history

    @property
    def counts(self) -> Floats:
        """(n,) weight of each row in means."""
        return self.kind.row_weights(self.target)


@dataclass(frozen=True)
class Answer:
    """How a task is fused, and the evidence for it."""

    calibrations: dict[str, Calibration]
    blend: Blend
    weights: dict[str, float]  # the blend's, on average over rows
    record: dict[str, Any]
    reranker: Reranker | None = None
    correction: Correction | None = None


@dataclass(frozen=True)
class Trial:
    """How often, and how surely."""

    folds: int
    bootstrap: int
    confidence: float
    seed: int
    calibrate: bool = True
    sure: float = 0.9  # chance that a gain is real, from which it serves
    combine: Literal["convex", "stacked", "reranked"] = "convex"
    edges: tuple[int, ...] = ()  # histories from which a segment of its own begins
    k: int = 10  # length of the lists by which re-ranking is judged
    corrections: tuple[int, ...] = ()  # how many trees of a correction are tried


def fit_calibrations(question: Question, kept: dict[str, bool]) -> dict[str, Calibration]:
    """Of each member, None where its calibration is not kept."""
    return {
        name: question.kind.fit_calibration(scores, question.target) if kept[name] else None
        for name, scores in question.scores.items()
    }


def contributions(question: Question, calibrations: dict[str, Calibration]) -> Floats:
    """(n, members) what weights mix, as `Kind.calibrated_contribution`."""
    columns = [
        question.kind.calibrated_contribution(calibrations[name], scores, question.target)
        for name, scores in question.scores.items()
    ]
    return np.stack(columns, axis=1)


def fit_blend(question: Question, calibrations: dict[str, Calibration], names: list[str], trial: Trial) -> Blend:
    """The blend of the members `names` that fits `question` best; the others have no weight."""
    stacking = question.kind.stacking
    if trial.combine != "stacked" or stacking is None:
        places = [list(question.scores).index(name) for name in names]
        columns = contributions(question, calibrations)[:, places]
        segment = np.searchsorted(trial.edges, question.steps, side="right")
        rows = question.target, question.counts
        table = convex_weights(question.kind, columns, *rows, segment=segment, segments=len(trial.edges) + 1)
        return Blend(tuple(_named(question, names, row) for row in table), trial.edges)
    if question.candidates is None:
        scores = _calibrated(question, calibrations)
        stacked = np.stack([scores[name] for name in names], axis=-1)
    else:
        stacked = _candidates(question, calibrations, names)
    slopes, bias = stacking.fit(stacked, question.target)
    return Blend((_named(question, names, slopes),), bias=bias)


def mixed(question: Question, calibrations: dict[str, Calibration], blend: Blend, columns: Floats) -> Floats:
    """(n,) what `blend` makes of the contributions `columns` of all members; stacked, a choice among candidates."""
    names = list(blend.weights[0])
    if blend.bias is None:
        table = np.array([[part.get(name, 0.0) for name in question.scores] for part in blend.weights])
        return np.sum(columns * table[blend.segment(question.steps)], axis=1)
    if question.candidates is not None:
        slopes = np.array(list(blend.weights[0].values()))
        return np.exp(log_choices(_candidates(question, calibrations, names), slopes)[:, 0])
    scores = _calibrated(question, calibrations)
    fused = blend.mix(question.kind, {name: scores[name] for name in names}, question.steps)
    return question.kind.contribution(fused, question.target)


def _candidates(question: Question, calibrations: dict[str, Calibration], names: list[str]) -> Floats:
    """(n, candidates, members) calibrated log probabilities of `names`, but for each list's own constant."""
    assert question.candidates is not None
    places = [list(question.scores).index(name) for name in names]
    return question.candidates[:, :, places] * np.array([exponent(calibrations[name]) for name in names])


def _calibrated(question: Question, calibrations: dict[str, Calibration]) -> dict[str, Floats]:
    return {name: question.kind.calibrate(calibrations[name], values) for name, values in question.scores.items()}


def _named(question: Question, names: list[str], weights: Floats) -> dict[str, float]:
    return dict.fromkeys(question.scores, 0.0) | dict(zip(names, map(float, weights), strict=True))
