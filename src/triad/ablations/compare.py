"""Which variant is better, and how sure that is: paired over rows, users and seeds. Pure.

Two variants with the same seeds answer the same test rows. Their difference on a task is the mean over seeds of the
difference of their metric. It is drawn anew with users (or items) resampled, the same draw for all variants and seeds,
and with seeds resampled in pairs: both kinds of chance are in the interval, and what the two variants share is not.

Five seeds drawn with replacement vary by four fifths of what five new seeds would, so their part is widened by that.
The interval is that of Student's t, whose degrees of freedom follow from how much of the variance is the seeds'
(Satterthwaite 1946).

**Many comparisons.** The p-values of a study's claims, and those of its comparisons with the reference, are each
corrected by Holm (1979). Holm, and not Benjamini-Hochberg: every claim that holds is acted upon alone (a body is
chosen, a member dropped), so what must be rare is *one* false claim, not a share of them; and it needs no assumption
on dependence, where all comparisons share their users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from triad.ablations.outcome import Answers
from triad.errors import TriadError
from triad.evaluation.assess import NAIVE
from triad.kinds import KINDS, find_metric
from triad.kinds.base import Cases
from triad.statistics.bootstrap import Draws, Estimate, draw

Status = Literal["holds", "does not hold", "not shown"]


@dataclass(frozen=True)
class Difference:
    """One variant's model less another's, or a model alone against nothing."""

    value: float
    low: float
    high: float
    p: float  # two-sided, of no difference
    spread: float  # standard deviation over seeds; NaN with one seed
    seeds: int


def estimates(answers: Answers, model: str, metric: str, resamples: int, seed: int) -> Estimate:
    """`metric` of `model` on the sample and on all resamples; the same draws for the same rows.

    Raises:
        TriadError: the model did not answer, or the metric is none of the task's kind.
    """
    if model not in answers.scores:
        raise TriadError(
            f"no model {model!r}; known are {', '.join(answers.scores)}",
            where="claims",
            mend="name a variant, or variant/member",
        )
    clusters = int(answers.cluster.max()) + 1 if len(answers.cluster) else 0
    draws = draw(clusters, resamples, seed)
    measured = _measure(answers, model, metric, draws)
    if metric not in measured:
        raise TriadError(
            f"no metric {metric!r} of a {answers.kind} task", where="claims", mend=f"known are {', '.join(measured)}"
        )
    return measured[metric]


def _measure(answers: Answers, model: str, metric: str, draws: Draws) -> Mapping[str, Estimate]:
    kind, cases = KINDS[answers.kind], Cases(answers.labels, answers.scores[NAIVE], answers.cluster, draws)
    if metric == kind.metrics[0].name and model != NAIVE:  # the one of many
        return {metric: kind.gated(cases, answers.scores[model])}
    return kind.measure(cases, answers.scores[model], is_naive=model == NAIVE)


def difference(pairs: Sequence[Estimate], confidence: float, seed: int) -> Difference:
    """The mean of `pairs`, one a seed, each (1 + resamples,): a paired difference, or a metric itself."""
    table = np.stack(pairs)  # (seeds, 1 + resamples)
    seeds, resamples = len(table), table.shape[1] - 1
    value, spread = float(table[:, 0].mean()), float(table[:, 0].std(ddof=1)) if seeds > 1 else math.nan
    rows = table[:, 1:].mean(axis=0)
    drawn = rows
    if seeds > 1:
        random = np.random.default_rng(seed)
        times = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).T / seeds
        drawn = rows + math.sqrt(seeds / (seeds - 1)) * ((times * table[:, 1:]).sum(axis=0) - rows)
    drawn = drawn[np.isfinite(drawn)]
    if not math.isfinite(value) or len(drawn) * 2 <= resamples:
        return Difference(value, math.nan, math.nan, math.nan, spread, seeds)
    variance = float(np.var(drawn, ddof=1))
    of_seeds = 0.0 if seeds < 2 else spread**2 / seeds
    freedom = variance**2 / (of_seeds**2 / (seeds - 1)) if of_seeds > 0 else math.inf
    error = math.sqrt(variance)
    if error == 0:
        return Difference(value, value, value, float(value == 0), spread, seeds)
    freedom = max(freedom, seeds - 1, 1)
    reach = float(student.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * student.sf(abs(value) / error, freedom))
    return Difference(value, value - reach, value + reach, p, spread, seeds)


def status(value: float, corrected: float, confidence: float) -> Status:
    """Of "the difference is above zero"."""
    if math.isfinite(corrected) and corrected < 1 - confidence:
        return "holds" if value > 0 else "does not hold"
    return "not shown"


def oriented(metric: str, estimate: Estimate) -> Estimate:
    """`estimate` turned so that more is better."""
    known = find_metric(metric)
    return -estimate if known is not None and known.lower_is_better else estimate
