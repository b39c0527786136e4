"""Which items are chosen for whom: retrieved, then ordered. A share of the customers at a time, on whatever machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.fusion.ranker import Ranker
from triad.progress import Progress
from triad.threads import side_by_side
from triad.tracking import retrieving
from triad.tracking.recommending import Pairs
from triad.tracking.shelf import Shelf

_SCORED_AT_ONCE = 100_000
"""Exposures, at most: while a network is asked of some, which needs no Python, trees are asked of others."""


@dataclass(frozen=True)
class Asked:
    """What a night's lists are chosen from beside the model: arrays, and no session, so that it can travel.

    Args:
        data: who and what is there (`build.standing`).
        moment: µs.
        order: catalogue rows in the order that breaks ties.
        count: items that are retrieved for a customer, at most.
        shelf: what may be shown to whom.
        index: whether members that can are asked by an approximate index.
        task: whose score orders what is retrieved; None: the ranking's order stays.
        shown: makes exposures of (n,) users and items.
    """

    data: Dataset
    moment: int
    order: Ints
    count: int
    shelf: Shelf
    index: bool
    task: str | None
    shown: Callable[[Ints, Ints], Dataset]

    @property
    def customers(self) -> int:
        return len(self.data.streams.offsets) - 1


Choosing = Callable[[Asked], Iterable[Pairs]]
"""Makes the pairs of all customers, by customer: a share after the other."""


def choosing_here(fused: Fused) -> Choosing:
    """By this process."""

    def choosing(asked: Asked) -> Iterator[Pairs]:
        ranker = fused.ranker(asked.data, index=asked.index)
        ranker.keep()
        with Progress("choose", asked.customers, "customers") as progress:
            for share in retrieving.shares(asked.customers):
                yield choose(fused, ranker, asked, share)
                progress.advance(len(share))

    return choosing


def choose(fused: Fused, ranker: Ranker, asked: Asked, share: range) -> Pairs:
    """The items chosen for the customers of `share`, and their scores. `ranker` is that of `asked.data`."""
    task = asked.task
    pairs = retrieving.retrieve(ranker, asked.moment, asked.order, asked.count, asked.shelf, share=share)
    if task is None:
        return pairs

    def scored(part: Pairs) -> Floats:
        return fused.predict(asked.shown(part.user, part.item), np.arange(len(part.user)), [task])[task]

    count = len(pairs.user)
    bounds = np.linspace(0, count, -(-count // _SCORED_AT_ONCE) + 1).astype(int)
    scores = side_by_side(scored, [pairs[start:stop] for start, stop in itertools.pairwise(bounds)])
    return replace(pairs, score=np.concatenate([np.zeros(0), *scores]))
