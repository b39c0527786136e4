"""Fits the fusion: scores the fusion window with every member, then fits calibrations and weights per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.fuse import FuseParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.fusion import orders
from triad.fusion.correction import Context
from triad.fusion.crossfit import solve
from triad.fusion.fused import Fused, relations
from triad.fusion.lists import Lists, Part, candidates, worth
from triad.fusion.question import Question, Trial
from triad.fusion.reranking import Lesson
from triad.kinds import KINDS
from triad.kinds.base import Kind
from triad.members.labelled import labelled
from triad.members.mask_seen import MaskSeen
from triad.members.protocol import Member, Retriever, RowScorer
from triad.progress import Progress
from triad.statistics import conformal
from triad.tasks import LABELS, of_unit

CANDIDATES = 30
"""Of each member's list, what a stacked ranking learns to choose among."""


def fit_fusion(
    data: Dataset, members: Mapping[str, Member], tasks: Mapping[str, TaskParams], params: FuseParams
) -> Fused:
    """The fusion of `members` on every task that one of them scores.

    Raises:
        TriadError: a task has no label, or one label only, on the fusion window; or no member scores it.
    """
    numbers = params.folds, params.bootstrap, params.confidence, params.seed
    trees = () if params.combine == "convex" else params.corrections
    trial = Trial(*numbers, params.calibrate, params.sure, params.combine, params.segments, params.k, trees)
    questions = [each for unit in data.meta.tasks for each in _of_rows(data, members, of_unit(unit, tasks), unit)]
    ranking = next((name for name, task in tasks.items() if KINDS[task.kind].ranks), None)
    if ranking is not None:
        questions.append(ranking_question(data, members, ranking, KINDS[tasks[ranking].kind], params))
    answers = {}
    with Progress("fuse", len(questions), "tasks") as progress:
        for question in questions:
            answers[question.task] = solve(question, trial)
            progress.advance(1)
    reranker = next((answer.reranker for answer in answers.values() if answer.reranker is not None), None)
    kinds, given = relations(tasks)
    fused = Fused(
        members,
        kinds,
        given,
        {task: answer.calibrations for task, answer in answers.items()},
        {task: answer.weights for task, answer in answers.items()},
        {task: answer.record for task, answer in answers.items()},
        {task: answer.blend for task, answer in answers.items() if not answer.blend.is_plain},
        params.mask_seen,
        reranker,
        {task: answer.correction for task, answer in answers.items() if answer.correction is not None},
    )
    return replace(fused, thresholds=_thresholds(data, fused, tasks), intervals=_intervals(data, fused, tasks))


def _intervals(data: Dataset, fused: Fused, tasks: Mapping[str, TaskParams]) -> dict[str, dict[str, Any]]:
    """Task whose label asks for one → its interval, of rows which no member learned from."""
    intervals = {}
    for name, task in tasks.items():
        if (level := LABELS[task.label].covers) is not None:
            parts = [labelled(data, name, split) for split in LABELS[task.label].calibrates]
            rows, label = (np.concatenate(each) for each in zip(*parts, strict=True))
            scores = fused.predict(data, rows, [name], data.unit_of(name))[name]
            intervals[name] = conformal.fit(scores, label, level)
    return intervals


def _thresholds(data: Dataset, fused: Fused, tasks: Mapping[str, TaskParams]) -> dict[str, float]:
    """Task of a kind that refuses → the confidence from which it answers."""
    thresholds = {}
    for name, task in tasks.items():
        if (kind := KINDS[task.kind]).refuses:
            rows, label = labelled(data, name, "fusion")
            cut = kind.threshold(label, fused.predict(data, rows, [name], data.unit_of(name))[name])
            assert cut is not None, name
            thresholds[name] = cut
    return thresholds


def _of_rows(
    data: Dataset, members: Mapping[str, Member], tasks: Mapping[str, TaskParams], unit: str
) -> list[Question]:
    """What `solve` needs of `tasks`, whose examples are rows of `unit`."""
    labels = {name: labelled(data, name, "fusion", both=KINDS[task.kind].is_event) for name, task in tasks.items()}
    if not labels:
        return []
    rows = np.unique(np.concatenate([labelled_rows for labelled_rows, _ in labels.values()]))
    scores: dict[str, dict[str, Floats]] = {}
    for name, member in members.items():
        scores[name] = {}
        if isinstance(member, RowScorer) and set(member.tasks).intersection(labels):
            scores[name] = member.predict(data, rows, list(labels))
    questions = []
    for task, (labelled_rows, label) in labels.items():
        kind = KINDS[tasks[task].kind]
        place = np.searchsorted(rows, labelled_rows)
        by_member: dict[str, Floats] = {
            name: np.asarray(by_task[task], np.float64)[place] for name, by_task in scores.items() if task in by_task
        }
        _check(task, by_member)
        cluster = getattr(data.units[unit], LABELS[tasks[task].label].cluster)
        history = data.history(unit)[labelled_rows]
        cluster = np.asarray(cluster)[labelled_rows]
        judge = (
            partial(orders.worth, kind, by_member, (label, cluster, history), judge=kind.judge) if kind.judge else None
        )
        context = Context.of(data, labelled_rows) if kind.is_event and unit == "exposures" else None
        questions.append(Question(task, kind, by_member, label, cluster, judge, history, context=context))
    return questions


def ranking_question(
    data: Dataset, members: Mapping[str, Member], task: str, kind: Kind, params: FuseParams
) -> Question:
    """What `solve` needs of the ranking task, on the fusion window's queries, sampled where they are too many.

    Raises:
        TriadError: there is no such query, or no member ranks.
    """
    rows = _sampled(data.rows("fusion", "lists"), params)
    if not len(rows):
        raise TriadError(
            "no user with a history interacts with anything",
            where=f"task {task}, split fusion",
            mend="give features.split_days.fusion more days, or leave the task out",
        )
    retrievers: dict[str, Retriever] = {n: member for n, member in members.items() if isinstance(member, Retriever)}
    if params.mask_seen:
        retrievers = {name: MaskSeen(member) for name, member in retrievers.items()}
    lists = Lists(data, retrievers, rows, kind)

    def said(part: Part) -> tuple[dict[str, Floats], Floats | None]:
        powers = {name: of.log_powers(part.query, part.target) for name, of in part.chances.items()}
        if params.combine != "stacked":
            return powers, None
        chances = {name: of.table() for name, of in part.chances.items()}
        return powers, candidates(part, chances, min(CANDIDATES, len(data.items.item_id) - 1))

    parts = lists.of_parts("rank", said)
    scores = {name: np.concatenate([powers[name] for powers, _ in parts]) for name in lists.members}
    best = [each for _, each in parts if each is not None]
    _check(task, scores)
    place = lists.place
    weight = (1 / np.bincount(place))[place]
    judge = partial(worth, lists, params.k)
    history = np.asarray(data.lists.history)[rows][place]
    chosen_from = np.concatenate(best) if best else None
    lesson = None
    if params.combine == "reranked" and retrievers:
        earlier = Lists(data, retrievers, _sampled(data.rows("validation", "lists"), params), kind)
        windows = [each for each in (lists, earlier) if len(each.rows)]
        lesson = Lesson.of(windows, params)
    return Question(task, kind, scores, weight, lists.user[place], judge, history, chosen_from, lesson)


def _sampled(rows: Ints, params: FuseParams) -> Ints:
    """At most `max_queries` of `rows`."""
    if len(rows) <= params.max_queries:
        return rows
    return np.sort(np.random.default_rng(params.seed).choice(rows, params.max_queries, replace=False))


def _check(task: str, scores: dict[str, Floats]) -> None:
    if not scores:
        raise TriadError(
            "no member scores it", where=f"task {task}", mend="name a member in fuse.members that does, say popularity"
        )
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise TriadError(
                f"{(~np.isfinite(values)).sum():,} of {values.size:,} scores are no finite numbers",
                where=f"task {task}, member {name}",
                mend="train the member again with a smaller learning rate",
            )
