"""What a customer is answered, from the served state. The same functions as the night's own answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Queries
from triad.fusion.contributions import Part, of_order, of_score
from triad.fusion.searching import Shown, search
from triad.kinds import KINDS
from triad.serving.deeds import ITEMS, Deed, deeds
from triad.serving.night import Night, Visit
from triad.tracking import recommending, retrieving
from triad.tracking.arranging import Lists
from triad.tracking.leaning import leaning_of
from triad.tracking.recommending import DAY


@dataclass(frozen=True)
class Listed:
    """One customer's list, best first."""

    items: Ints  # catalogue rows
    scores: Floats
    explored: np.ndarray  # drawn at random, which leaves no score
    propensity: Floats  # the probability with which each came into the list
    reasons: list[str]
    parts: list[list[Part]]  # what each score is made of, if asked for
    deeds: list[list[Deed]]  # what the customer did that each score rests on, likewise
    order: list[list[Part]]  # what brought each item among the candidates, of a re-ranker
    log_odds: bool  # whether `parts` sum to the score's log odds


def recommend(visit: Visit, k: int, *, why: bool = False) -> Listed:
    """The best `k` items at the visit's moment: retrieved, ordered and arranged as `ServingModel.recommend` does."""
    night, settings = visit.night, visit.night.settings.model_copy(update={"k": k})
    count = max(night.settings.retrieved, settings.retrieved)  # a shorter list is the beginning of the night's
    queries = Queries(np.array([visit.user]), np.array([visit.history]), np.array([visit.moment]))
    ranker, shelf = visit.ranker, visit.shelf
    chances = ranker.open(queries, ranker.needed)(slice(None))
    best = retrieving.best(ranker, queries, chances, shelf.allows(queries.users), order=night.order, count=count)
    parts, log_odds = dict[int, list[Part]](), False
    pairs = replace(best, user=queries.users[best.user])
    if (task := settings.order_by) is not None and len(best.item):
        data = visit.exposures(best.item, [1] * len(best.item), [night.surface] * len(best.item))
        scored = of_score(night.model.fused, data, np.arange(len(best.item)), task)
        pairs = replace(pairs, score=scored.values)
        log_odds = scored.log_odds
        parts = dict(zip(best.item.tolist(), scored.parts, strict=True))
    lists = Lists.of(*recommending.top(pairs, night.order, len(night.order))).arranged(night.groups, settings)
    new = recommending.new_items(night.data, visit.moment, settings.new_days)
    free = int(lists.drawable(new, shelf).sum())
    lists = lists.with_explored(new, night.groups, shelf, settings, seed=visit.moment // DAY)
    told = recommending.reasons(visit.data, lists.pairs, night.standings, night.titles, night.categories)
    items = lists.pairs.item
    return Listed(
        items,
        lists.pairs.score,
        lists.explored,
        np.where(lists.explored, lists.explored.sum() / max(free, 1), 1.0),
        told,
        [parts.get(item, []) for item in items.tolist()] if why else [],
        _deeds(visit, items, log_odds) if why else [],
        of_order(ranker, queries, chances, items) if why else [],
        log_odds,
    )


def _deeds(visit: Visit, items: Ints, log_odds: bool) -> list[list[Deed]]:
    """Of a list that a task orders, shown as its scores have it."""
    if (task := visit.night.settings.order_by) is None:
        return [[] for _ in items]
    return deeds(visit, items, {task: log_odds}, [1] * len(items), [visit.night.surface] * len(items))[task]


@dataclass(frozen=True)
class Explained:
    """Scores (n,) of a task, and of each what it is made of and rests on."""

    parts: list[list[Part]]
    deeds: list[list[Deed]]
    log_odds: bool


def explain(
    visit: Visit, items: Ints, position: Sequence[int | None], surface: Sequence[str | None]
) -> dict[str, Explained]:
    """Of each event's score of the first items, at most `deeds.ITEMS`."""
    fused, few = visit.night.model.fused, items[:ITEMS]
    data = visit.exposures(few, position[:ITEMS], surface[:ITEMS])
    tasks = [task for task in fused.of_unit(data, "exposures") if KINDS[fused.kinds[task]].is_event]
    scored = {task: of_score(fused, data, np.arange(len(few)), task) for task in tasks}
    carried = deeds(visit, few, {task: each.log_odds for task, each in scored.items()}, position, surface)
    return {task: Explained(each.parts, carried[task], each.log_odds) for task, each in scored.items()}


def score(
    visit: Visit, items: Ints, position: Sequence[int | None], surface: Sequence[str | None]
) -> dict[str, Floats]:
    """What every task of exposures says of the items, were they shown now; as `ServingModel.predict`."""
    return visit.night.model.fused.predict(visit.exposures(items, position, surface), np.arange(len(items)))


def find(night: Night, query: str, k: int, visit: Visit | None = None) -> Shown:
    """At most `k` products for what was typed; in a `visit`, in the order for its customer."""
    leaning = None
    if visit is not None and visit.user != night.guest:
        stranger = night.visit(night.guest, [], visit.moment)
        leaning = leaning_of(night.model.fused, partial(_shown, visit), partial(_shown, stranger))
    stands = (night if visit is None else visit).shelf.stands
    (shown,) = search(night.model.fused, night.data, [query], k, stands, leaning=leaning)
    return shown


def _shown(visit: Visit, items: Ints) -> Dataset:
    return visit.exposures(items, [1] * len(items), [visit.night.surface] * len(items))
