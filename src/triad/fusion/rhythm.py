"""How a user comes back and takes again, counted by visits: what days alone do not tell of who comes seldom."""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats
from triad.fusion.candidates import Candidates, Queries
from triad.fusion.steps import Steps, distinct, places_in
from triad.members.history import DAY

LATE = 3
"""Last visits that are looked at by themselves."""
OWN = ("own_visits_since", "own_late_visits")
USER = ("user_visits", "user_visit_items", "user_new_share", "user_days_over_interval")


def of_pairs(steps: Steps, candidates: Candidates) -> list[Floats]:
    """(p,) columns `OWN`: visits since the item was taken, NaN where it never was; how many of the last ones had it."""
    (pair, index), (start, visit) = steps.pairs, steps.visits
    last = np.full(len(pair), -1)
    np.maximum.at(last, index, visit)
    ends = start[pair // steps.size + 1]
    late = visit >= (start[1:] - LATE)[steps.query]
    often = distinct(index[late], visit[late], len(pair))
    at, known = places_in(pair, candidates.query * steps.size + candidates.item)
    at = np.where(known, at, len(pair))
    since = np.append(ends - 1 - last, 0)[at]
    return [np.where(known, since, np.nan), np.append(often, 0)[at]]


def of_users(steps: Steps, queries: Queries) -> list[Floats]:
    """(queries,) columns `USER`: visits, distinct items in one, the share of these that were new then, and how long
    the user has been away over the usual pause.
    """
    (pair, _), (start, visit) = steps.pairs, steps.visits
    count = np.diff(start)
    held = distinct(visit, steps.item.astype(np.int64), int(start[-1]))
    of_query = np.repeat(np.arange(len(queries)), count)
    taken = np.bincount(of_query, held, minlength=len(queries))
    new = np.bincount(pair // steps.size, minlength=len(queries))
    first, last = np.full(len(queries), np.iinfo(np.int64).max), np.full(len(queries), np.iinfo(np.int64).min)
    np.minimum.at(first, steps.query, steps.time)
    np.maximum.at(last, steps.query, steps.time)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        usual = np.where(count > 1, (last - first) / DAY / (count - 1), np.nan)
        away = np.where(count > 0, (queries.moment - last) / DAY, np.nan)
        return [np.log1p(count), taken / count, new / taken, away / usual]
