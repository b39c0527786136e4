"""The gate: may the challenger replace the champion? This is the only place that decides it. Pure.

On each gated task d is the primary metric of the challenger less the champion's on the same rows, its interval normal
with the standard error of the paired bootstrap.

FAIL, harm is shown:
  * d lies wholly below −margin on a gated task, or wholly below −slice_margin on a slice of one, or
  * a gated task's calibration error lies wholly above its limit.
PASS, a gain is shown and nothing speaks against it:
  * d lies wholly above min_gain on at least one gated task, and
  * on no gated task d lies wholly below zero, is undefined, or the calibration error is above its limit, and
  * the model refitted on all days, which would serve, answers as the one that is judged (`refit_health`).
INCONCLUSIVE otherwise: the champion stays.

A gain is looked for on every gated task and a harm on every slice, so both are held to Bonferroni's level: a
same-quality twin then passes with a probability below 1 − confidence. "d above −margin on every task" is not asked
for: on a small window a task's interval is wider than any margin, and nothing could ever pass.

Without a champion d is taken against the naive baseline. PASS: d wholly above zero on every gated task (all must hold,
so no correction is due). FAIL: wholly below zero on one, or miscalibrated. INCONCLUSIVE otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from triad.config.evaluate import EvaluateParams
from triad.statistics.bootstrap import Estimate, interval, normal_interval, value

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]


@dataclass(frozen=True)
class Comparison:
    """A gated task's evidence."""

    task: str
    metric: str  # the primary one
    difference: Estimate  # challenger less champion (or naive), primary metric
    calibration: Estimate | None = None  # the challenger's calibration error
    slices: Mapping[str, Estimate] = field(default_factory=dict)  # name → difference, of the slices large enough


@dataclass(frozen=True)
class Verdict:
    """`harms` make a FAIL, `doubts` keep from a PASS, `gains` are what a PASS rests on; each a sentence."""

    outcome: Outcome
    harms: tuple[str, ...]
    doubts: tuple[str, ...]
    gains: tuple[str, ...]


def judge(
    comparisons: Sequence[Comparison], limits: EvaluateParams, *, champion: bool, unfit: Sequence[str] = ()
) -> Verdict:
    """The verdict on the gated tasks' `comparisons`, against the champion or, without one, against naive baselines.

    Args:
        unfit: what speaks against letting the refitted model serve, a sentence each.
    """
    harms: list[str] = []
    doubts: list[str] = [*unfit] if comparisons else [*unfit, "no gated task could be compared"]
    gains: list[str] = []
    judged = sum(math.isfinite(value(d)) for c in comparisons for d in c.slices.values())
    for each in comparisons:
        _judge_difference(each, limits, champion, len(comparisons), (harms, doubts, gains))
        _judge_calibration(each, limits, (harms, doubts))
        for name, difference in each.slices.items():
            low, high = normal_interval(difference, _shared(limits.confidence, judged))
            if champion and high < -limits.slice_margin:
                span = _span(each.metric, difference, low, high)
                harms.append(f"{each.task}, slice {name}: {span}, worse by more than {limits.slice_margin:g}")
    if harms:
        outcome: Outcome = "FAIL"
    elif gains and not doubts:
        outcome = "PASS"
    else:
        outcome = "INCONCLUSIVE"
        if not doubts:
            doubts.append("no gated task shows a gain that is more than chance")
    return Verdict(outcome, tuple(harms), tuple(doubts), tuple(gains))


def _judge_difference(
    each: Comparison,
    limits: EvaluateParams,
    champion: bool,
    tasks: int,
    reasons: tuple[list[str], list[str], list[str]],
) -> None:
    harms, doubts, gains = reasons
    low, high = normal_interval(each.difference, limits.confidence)
    if math.isnan(low):
        doubts.append(f"{each.task}: cannot be measured on this test window")
        return
    span = _span(each.metric, each.difference, low, high)
    if champion:
        surely = normal_interval(each.difference, _shared(limits.confidence, tasks))[0]
        if high < -limits.margin:
            harms.append(f"{each.task}: {span} against the champion, worse by more than {limits.margin:g}")
        elif high < 0:
            doubts.append(f"{each.task}: {span} against the champion, probably worse")
        elif surely > limits.min_gain:
            gains.append(f"{each.task}: {span} against the champion")
    elif high < 0:
        harms.append(f"{each.task}: {span} against the naive baseline, worse")
    elif low > 0:
        gains.append(f"{each.task}: {span} against the naive baseline")
    else:
        doubts.append(f"{each.task}: {span} against the naive baseline, which may be chance")


def _judge_calibration(each: Comparison, limits: EvaluateParams, reasons: tuple[list[str], list[str]]) -> None:
    if each.calibration is None or math.isnan(value(each.calibration)):
        return
    harms, doubts = reasons
    limit, error = limits.max_calibration_error, value(each.calibration)
    low, _ = interval(each.calibration, limits.confidence, reflected=True)
    text = f"{each.task}: calibration error {error:.3f} is above the limit {limit:g}"
    if low > limit:
        harms.append(text)
    elif error > limit:
        doubts.append(text + ", which may be chance")


def _shared(confidence: float, among: int) -> float:
    return 1 - (1 - confidence) / max(among, 1)


def _span(metric: str, difference: Estimate, low: float, high: float) -> str:
    return f"{metric} {value(difference):+.4f} [{low:+.4f}, {high:+.4f}]"
