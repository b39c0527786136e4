"""What a score is made of: parts that sum to it exactly.

| of | parts | sum |
|---|---|---|
| a convex mixture | wₘ fₘ of each member | the score |
| a stacked one | wₘ logit fₘ of each member, and the bias | the score's log odds |
| either, corrected | wₘ logit fₘ, the bias, what mixing adds, and the trees' Shapley values | the score's log odds |
| the re-ranker's order | columns' Shapley values over its trees, by group (TreeSHAP, Lundberg 2020) | its score |

What needs another event (a purchase, given a click) is no likelier than that: a limit is a part of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.blends import Blend
from triad.fusion.candidates import Queries
from triad.fusion.correction import FUSED, SAID, Context, Correction
from triad.fusion.fused import Fused, Scores
from triad.fusion.ranker import Ranker
from triad.fusion.reranker import table
from triad.fusion.signals import BOTH, ITEM, OWN, TOGETHER, USER
from triad.kinds import KINDS
from triad.members.chances import Chances
from triad.statistics.solving import inside

BASE, LIMIT, MIXING, CONTEXT = "base", "limit", "mixing", "context"
GROUPS = {"own": OWN, "item": ITEM, "customer": USER, "fit": BOTH, "members": TOGETHER}
"""What columns of the re-ranker tell of; the others are what members say."""


@dataclass(frozen=True)
class Part:
    """A named share of a score."""

    name: str
    value: float


@dataclass(frozen=True)
class Scored:
    """(n,) scores, and the parts of each."""

    values: Floats
    parts: list[list[Part]]
    log_odds: bool  # whether the parts sum to the score's log odds, and not to the score


def of_score(fused: Fused, data: Dataset, rows: Ints, task: str) -> Scored:
    """A binary task's scores of exposure `rows`, as `Fused.predict` gives them, and what members put in."""
    scores: Scores = {}
    asked = [task, *fused.parents(task)]
    for name in fused.needed(asked):
        scores |= fused.predict_members(data, rows, [name], [t for t in asked if fused.weights[t].get(name, 0) > 0])
    history = data.history("exposures")[rows]
    values = fused.combine(scores, data, rows)[task]
    by_member = {name: each[task] for name, each in scores.items() if task in each}
    blend, correction = fused.blend(task), fused.corrections.get(task)
    log_odds = blend.bias is not None or correction is not None
    if correction is None:
        columns = _mixed(blend, by_member, history)
    else:
        plain = blend.mix(KINDS[fused.kinds[task]], by_member, history)
        columns = _corrected(correction, _odds(blend, by_member, history), plain, by_member, Context.of(data, rows))
    whole = _logit(values) if log_odds else values
    columns[LIMIT] = whole - np.sum(list(columns.values()), axis=0)
    if np.abs(columns[LIMIT]).max(initial=0) < 1e-12:
        del columns[LIMIT]
    return Scored(values, _by_row(columns, len(rows)), log_odds)


def of_order(ranker: Ranker, queries: Queries, chances: Mapping[str, Chances], items: Ints) -> list[list[Part]]:
    """What the re-ranker's score of each of one query's `items` is made of; empty for what it did not put in order."""
    reranker = ranker.reranker
    if reranker is None:
        return [[] for _ in items]
    told = {name: chances[name] for name in reranker.members}
    candidates, columns = table(ranker.reading, queries, told, reranker.each)
    place = {item: row for row, item in enumerate(candidates.item.tolist())}
    known = [item for item in items.tolist() if item in place]
    if not known:
        return [[] for _ in items]
    shares = reranker.contributions(columns[[place[item] for item in known]])
    groups = {name: np.zeros(len(known)) for name in (*GROUPS, *reranker.members)}
    of_column = {column: group for group, names in GROUPS.items() for column in names}
    for column, share in zip(reranker.columns, shares.T, strict=False):
        groups[of_column.get(column) or column.partition("_")[2]] += share
    parts = dict(zip(known, _by_row({BASE: shares[:, -1], **groups}, len(known)), strict=True))
    return [parts.get(item, []) for item in items.tolist()]


def _mixed(blend: Blend, scores: Mapping[str, Floats], history: Ints) -> dict[str, Floats]:
    if blend.bias is not None:
        return _odds(blend, scores, history)
    return {name: weight * scores[name] for name, weight in _weights(blend, scores, history).items()}


def _odds(blend: Blend, scores: Mapping[str, Floats], history: Ints) -> dict[str, Floats]:
    """wₘ logit fₘ of each member, and the bias."""
    parts = {name: weight * _logit(scores[name]) for name, weight in _weights(blend, scores, history).items()}
    return parts | {BASE: np.full(len(history), float(np.sum(blend.bias or 0.0)))}


def _weights(blend: Blend, scores: Mapping[str, Floats], history: Ints) -> dict[str, Floats]:
    segment = blend.segment(history)
    return {name: np.array([part[name] for part in blend.weights])[segment] for name in scores}


def _corrected(
    correction: Correction, odds: dict[str, Floats], plain: Floats, scores: Mapping[str, Floats], context: Context
) -> dict[str, Floats]:
    """Parts that sum to the corrected log odds.

    Args:
        odds: the members' parts; `plain` (n,) what the blend makes of `scores`.
    """
    columns = odds | {MIXING: _logit(plain) - np.sum(list(odds.values()), axis=0), CONTEXT: np.zeros(len(plain))}
    if np.abs(columns[MIXING]).max(initial=0) < 1e-12:
        columns[MIXING] *= 0  # of one member alone
    for name, share in correction.contributions(correction.table(plain, scores, context)).items():
        member = name.removeprefix(SAID)
        place = MIXING if name == FUSED else BASE if not name else member if name.startswith(SAID) else CONTEXT
        columns[place] = columns[place] + share
    return columns


def _logit(values: Floats) -> Floats:
    return np.asarray(logit(inside(values)))


def _by_row(columns: Mapping[str, Floats], rows: int) -> list[list[Part]]:
    """Largest first."""
    return [
        sorted(
            (Part(name, float(values[row])) for name, values in columns.items() if values[row]),
            key=lambda part: -abs(part.value),
        )
        for row in range(rows)
    ]
