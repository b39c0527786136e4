"""Scores the test window with the fusion, each member, the naive answers and the champion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.config.tasks import TaskParams
from triad.evaluation.champion_protocol import Answers, Question
from triad.evaluation.window import Scored, Window, rank_targets, ranking_blocks
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.fusion.candidates import lists_of
from triad.fusion.fused import Fused
from triad.kinds import KINDS
from triad.kinds.multiclass import by_class
from triad.members.mask_seen import MaskSeen
from triad.members.popularity import Popularity
from triad.progress import Progress
from triad.ranking import target_ranks
from triad.tasks import of_unit
from triad.threads import side_by_side


class Answering(Protocol):
    """What the registry serves: it reads raw tables in its own way."""

    def answers(self, tables: Path, question: Question) -> Answers: ...


def score_members(fused: Fused, data: Dataset, window: Window) -> dict[str, Scored]:
    """Member → its calibrated answers, and "fused" → theirs together; every member is asked once."""
    alone: dict[str, dict[str, Floats]] = {name: {} for name in fused.members}
    together: dict[str, Floats] = {}
    for unit in data.meta.tasks:
        answers = fused.predict_members(data, window.of(unit), tasks=fused.of_unit(data, unit))
        together |= fused.combine(answers, data, window.of(unit), unit)
        for name, scores_of in answers.items():
            alone[name] |= scores_of
    joined = _ranks(fused, data, window) if fused.ranking is not None else {}
    scored = {"fused": Scored(together, joined.get("fused"))}
    for name, scores_of in alone.items():
        if scores_of or name in joined:
            scored[name] = Scored(scores_of, joined.get(name))
    return scored


def _ranks(fused: Fused, data: Dataset, window: Window) -> dict[str, Ints]:
    """Member that ranks, and "fused" → (t,) place of each target; blocks of queries side by side."""
    ranker, queries = fused.ranker(data), lists_of(data, window.queries)
    opened = ranker.open(queries)
    with Progress("rank", len(window.queries), "queries") as progress, threadpool_limits(1, "blas"):

        def ranked(block: tuple[slice, Ints, Ints]) -> dict[str, Ints]:
            part, query, target = block
            chances = opened(part)
            places = {name: of.ranks(query, target) for name, of in chances.items()}
            places["fused"] = target_ranks(ranker.mix(queries[part], chances), query, target)
            progress.advance(len(queries[part]))
            return places

        blocks = side_by_side(ranked, ranking_blocks(data, window, models=len(ranker.calibrations) + 1))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}


def score_naive(fused: Fused, data: Dataset, tasks: Mapping[str, TaskParams], window: Window) -> Scored:
    """What needs no learning: train rates and shares, medians, "no change", and the most popular items."""
    fitted = fused.members.get("popularity")
    naive = fitted if isinstance(fitted, Popularity) else Popularity.fit(data, tasks, half_life_days=math.inf)
    lists = MaskSeen(naive) if fused.mask_seen and naive is fitted else naive
    scores: dict[str, Floats] = {}
    for unit in data.meta.tasks:
        scores |= naive.predict(data, window.of(unit), fused.of_unit(data, unit))
    return Scored(scores, rank_targets(lists, data, window) if fused.ranks else None)


def ask(data: Dataset, window: Window) -> Question:
    """`window` in ids."""
    return Question(
        rows={unit: getattr(data.units[unit], str(UNITS[unit].key))[window.of(unit)] for unit in data.meta.tasks},
        item_id=data.items.item_id,
        user_id=data.users.user_id[np.asarray(data.lists.user)[window.queries]],
        history=np.asarray(data.lists.history)[window.queries],
        moment=np.asarray(data.lists.time)[window.queries],
        query=window.query,
        target=window.target,
    )


def score_champion(champion: Answering, tables: Path, data: Dataset, window: Window) -> Scored:
    """The champion's answers, from its own reading of the same tables, with its classes in our order.

    Raises:
        TriadError: its reading lacks an exposure, user or item that ours has.
    """
    answers = champion.answers(tables, ask(data, window))
    scores = {}
    for task, values in answers.tasks.items():
        known = data.meta.classes.get(task)
        scores[task] = by_class(values, answers.classes.get(task, ()), known) if known else values
    return Scored(scores, answers.ranks)


def thresholds(fused: Fused, data: Dataset, tasks: Mapping[str, TaskParams]) -> dict[str, float]:
    """Task of an event → the score from which "yes" had the highest F1 on the fusion window; also the fusion's own."""
    thresholds = dict(fused.thresholds)
    for unit in data.meta.tasks:
        rows = data.rows("fusion", unit)
        events = [name for name, task in of_unit(unit, tasks).items() if KINDS[task.kind].is_event]
        for name, scores in fused.predict(data, rows, events, unit).items():
            labels = np.asarray(data.labels(name), np.float64)[rows]
            known = np.isfinite(labels)
            threshold = KINDS[tasks[name].kind].threshold(labels[known], scores[known])
            if threshold is not None:
                thresholds[name] = threshold
    return thresholds


def examples(
    fused: Fused, data: Dataset, window: Window, titles: Sequence[str], *, people: int, k: int, seed: int
) -> list[dict[str, Any]]:
    """`people` customers drawn at random from the queries: last and suggested titles, and what they turned to next."""
    if fused.ranking is None or not len(window.queries) or not people:
        return []
    history = np.asarray(data.lists.history)[window.queries]
    lively = np.flatnonzero(history >= min(3, history.max()))
    drawn = np.sort(np.random.default_rng(seed).choice(lively, min(people, len(lively)), replace=False))
    asked = lists_of(data, window.queries[drawn])
    lists, customers = fused.ranker(data).rank(asked), []
    for q, u, steps, scores in zip(drawn, asked.users, asked.history, lists, strict=True):
        start = int(data.streams.offsets[u])
        seen = np.asarray(data.streams.item)[start + max(steps - 20, 0) : start + steps]
        recent = list(dict.fromkeys(int(item) for item in seen[::-1]))[:5]
        wanted = {int(item) for item in window.target[window.query == q]}
        customers.append(
            {
                "history": [titles[item] for item in recent],
                "suggested": [
                    {"title": titles[item], "hit": int(item) in wanted}
                    for item in np.argsort(-scores, kind="stable")[:k]
                ],
                "next": [titles[item] for item in sorted(wanted)],
            }
        )
    return customers
