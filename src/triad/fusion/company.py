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
from triad.fusion.steps import Steps, places_in
from triad.members.history import DAY
from triad.members.narrow import narrow
from triad.members.pairs import pieces, shrunk_cosine, whole_users

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
        self._data, self._size = data, len(data.items.item_id)
        self._near, self._lock = dict[int, csr_array](), Lock()

    def near(self, week: int) -> csr_array:
        """(n_items, n_items) shrunk cosine of the visits that hold two items, of those before the week."""
        with self._lock:
            if week not in self._near:
                self._near[week] = self._count(week * WEEK)
            return self._near[week]

    def _count(self, until: int) -> csr_array:
        streams, items, widths = self._data.streams, [], []
        for user, steps in whole_users(self._data):
            day = np.asarray(streams.time[steps]) // DAY - (until - SPAN)
            mine = (day >= 0) & (day < SPAN)
            key = np.unique((user[mine] * SPAN + day[mine]) * self._size + streams.item[steps][mine])
            visit, item = np.divmod(key, self._size)
            width = np.unique(visit, return_counts=True)[1]
            items.append(item[np.repeat(width <= WIDEST, width)].astype(np.int32))
            widths.append(width[width <= WIDEST])
        item, start = np.concatenate(items), np.r_[0, np.cumsum(np.concatenate(widths))]
        taken = csr_array((np.ones(len(item), np.float32), item, start), shape=(len(start) - 1, self._size))
        return narrow(shrunk_cosine(taken, neighbours=NEIGHBOURS, shrink=SHRINK))

    def of(self, steps: Steps, queries: Queries, candidates: Candidates) -> list[Floats]:
        """(p,) columns `BOTH`: how near each candidate is to the items of the last visit, and to all of late."""
        start, visit = steps.visits
        last = visit >= (start[1:] - 1)[steps.query]
        fading = np.exp2(-(queries.moment[steps.query] - steps.time) / DAY / FADES)
        columns: list[Floats] = [np.zeros(len(candidates.item)) for _ in BOTH]
        week = queries.moment // DAY // WEEK
        key = candidates.query * self._size + candidates.item
        for each in np.unique(week):
            near, used = self.near(int(each)), np.flatnonzero(week[steps.query] == each)
            count = np.diff(near.indptr)[steps.item[used]]
            for piece in pieces(count):
                step, size = used[piece], count[piece]
                nth = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
                place, step = np.repeat(near.indptr[steps.item[step]], size) + nth, np.repeat(step, size)
                at, known = places_in(key, steps.query[step] * self._size + near.indices[place])
                at, step, value = at[known], step[known], near.data[place[known]]
                for column, weight in zip(columns, (last, fading), strict=True):
                    np.add(column, np.bincount(at, weight[step] * value, minlength=len(column)), out=column)
        return columns
