"""What is taken with what, of late: items that the same visits hold, counted up to the week before a query.

The members know what train taught, weeks before the days that are asked about. A season's goods are not in it.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Candidates, Queries
from triad.fusion.steps import Steps
from triad.members.history import DAY, pick
from triad.members.pairs import shrunk_cosine

WEEK, SPAN = 7, 91
"""Days after which what is counted moves on, and days that are counted."""
NEIGHBOURS, SHRINK, WIDEST = 50, 5.0, 200
"""Items kept of each; visits of a pair before half its likeness is believed; a wider visit is a dealer's or a bot's."""
FADES = 30.0
"""Days after which an interaction counts half for the company of a whole history."""
BOTH = ("company_of_last_visit", "company_of_history")


class Company:
    """Of the interactions of a dataset; a week's neighbours are made when they are first asked for."""

    def __init__(self, data: Dataset) -> None:
        streams = data.streams
        user = np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))
        day, item = np.asarray(streams.time) // DAY, np.asarray(streams.item, np.int64)
        self._size = len(data.items.item_id)
        span = int(day.max(initial=0)) + 1
        self._visit, self._item = np.divmod(np.unique((user * span + day) * self._size + item), self._size)
        self._day, self._near, self._lock = self._visit % span, dict[int, csr_array](), Lock()

    def near(self, week: int) -> csr_array:
        """(n_items, n_items) shrunk cosine of the visits that hold two items, of those before the week."""
        with self._lock:
            if week not in self._near:
                self._near[week] = self._count(week * WEEK)
            return self._near[week]

    def _count(self, until: int) -> csr_array:
        mine = (self._day < until) & (self._day >= until - SPAN)
        visit, item = np.unique(self._visit[mine], return_inverse=True)[1], self._item[mine]
        narrow = np.bincount(visit)[visit] <= WIDEST
        visit, item = visit[narrow], item[narrow]
        shape = (int(visit.max(initial=-1)) + 1, self._size)
        taken = csr_array((np.ones(len(visit), np.float32), (visit, item)), shape=shape)
        return shrunk_cosine(taken, neighbours=NEIGHBOURS, shrink=SHRINK)

    def of(self, steps: Steps, queries: Queries, candidates: Candidates) -> list[Floats]:
        """(p,) columns `BOTH`: how near each candidate is to the items of the last visit, and to all of late."""
        start, visit = steps.visits
        last = visit >= (start[1:] - 1)[steps.query]
        fading = np.exp2(-(queries.moment[steps.query] - steps.time) / DAY / FADES)
        columns: list[Floats] = [np.zeros(len(candidates.item)) for _ in BOTH]
        week = queries.moment // DAY // WEEK
        shape = (len(queries), self._size)
        for each in np.unique(week):
            near, asked = self.near(int(each)), week[candidates.query] == each
            for column, weight in zip(columns, (last.astype(np.float64), fading), strict=True):
                used = (week[steps.query] == each) & (weight > 0)
                taken = csr_array((weight[used], (steps.query[used], steps.item[used])), shape=shape)
                column[asked] = pick(taken @ near, candidates.query[asked], candidates.item[asked])
        return columns
