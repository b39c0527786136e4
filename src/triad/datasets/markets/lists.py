"""Candidates of the form "ratings of several markets": a market's own run, similar lists, and their metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Floats, Ints
from triad.datasets.markets.files import read_ratings, read_run
from triad.datasets.markets.form import MarketsForm
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.ranking import ndcg
from triad.redaction import shown
from triad.texts import Texts

CUT = 10
"""Length of the list that NDCG looks at."""


@dataclass(frozen=True)
class Candidates:
    """Lists to be put in order.

    Attributes:
        query: (q,) rows of the dataset's queries.
        item: (q, width) catalogue rows.
        wanted: (q, width) whether each is one of the query's targets.
    """

    query: Ints
    item: Ints
    wanted: np.ndarray

    def ndcg(self, scores: Floats) -> Floats:
        """(q,) NDCG@10 of each list under `scores` (q, width); a tie counts against what is wanted."""
        query, target = np.nonzero(self.wanted)
        return ndcg(scores, query, target, CUT)


def run_of(form: MarketsForm, market: str, folder: Path, data: Dataset) -> Candidates:
    """The market's own candidates, for its test queries.

    Raises:
        TriadError: it names none, or lists of several lengths.
    """
    files = form.markets[market]
    if files.run is None:
        raise TriadError("names no candidates", where=f"data.markets.{market}.run", mend="give run and qrel")
    listed = read_run(folder / files.run)
    if len({len(items) for items in listed.values()}) > 1:
        raise TriadError("lists differ in length", where=str(folder / files.run), mend="give as many to each user")
    query = data.rows("test", "lists")
    names = data.users.user_id[data.lists.user[query]].tolist()
    ids = Texts.of(item for name in names for item in listed[name])
    item = data.items.item_id.places(ids).reshape(len(names), -1)
    return Candidates(query, item, _wanted(data, query, item))


def sampled(form: MarketsForm, market: str, folder: Path, data: Dataset, split: str) -> Candidates:
    """Lists for the held-out steps of `split`, made as the cup's were: the one held out among 99 that the user lacks.

    The 99 are uniform over the items of `asked`, popular or not.

    Raises:
        TriadError: somebody has taken so much that no 99 are left.
    """
    width, query = 100, data.rows(split, "lists")
    random = np.random.default_rng((form.seed, SPLITS.index(split)))
    path = form.markets[market].asked
    pool = np.unique(data.streams.item)
    if path is not None:
        pool = np.flatnonzero(Texts.of(read_ratings(folder / path, form)[1]).places(data.items.item_id) >= 0)
    item = np.empty((len(query), width), np.int64)
    for at, row in enumerate(query.tolist()):
        user = data.lists.user[row]
        taken = data.streams.item[data.streams.offsets[user] : data.streams.offsets[user + 1]]
        target = data.lists.target[data.lists.offsets[row]]
        free = np.setdiff1d(pool, taken)
        if len(free) < width - 1:
            raise TriadError(
                f"user {shown(data.users.user_id[user])} lacks only {len(free)} items",
                where=f"data.markets.{market}.asked",
                mend="take the user out, or name more items",
            )
        item[at] = np.r_[target, random.choice(free, width - 1, replace=False)]
    item = random.permuted(item, axis=1)
    return Candidates(query, item, _wanted(data, query, item))


def _wanted(data: Dataset, query: Ints, item: Ints) -> np.ndarray:
    offsets, target = data.lists.offsets, data.lists.target
    rows = zip(query.tolist(), item, strict=True)
    return np.stack([np.isin(listed, target[offsets[row] : offsets[row + 1]]) for row, listed in rows])
