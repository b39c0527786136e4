"""Learns the order of candidates on the lists after train, and what it is worth on users that were not learned from.

Trees, and a network beside them, learn of the lists of the validation and the fusion window. They are judged on those
of the fusion window alone, each fold of users by what learned of the other users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.fuse import FuseParams
from triad.fusion.candidates import Candidates, lists_of
from triad.fusion.lists import Lists, Part
from triad.fusion.reranker import Reranker, table
from triad.fusion.signals import Reading
from triad.members.listwise import Listwise
from triad.threads import side_by_side


@dataclass(frozen=True)
class Judgement:
    """What re-ranking is worth: NDCG@k of each list, out of fold."""

    values: Floats  # (queries of the fusion window,)
    trees: int  # how many gave it
    network: float  # the network's weight that gave it


@dataclass(frozen=True)
class Lesson:
    """The candidates of lists (q) after train: the first `judged` of them are those of the first window."""

    members: tuple[str, ...]
    each: int
    candidates: Candidates
    columns: Floats  # (p, columns) `signals`
    taken: Bools  # (p,)
    user: Ints  # (q,)
    targets: Ints  # (q,) how many items followed, among the candidates or not
    judged: int
    seed: int
    trees: tuple[int, ...]  # how many are tried
    pairs: int  # candidates not taken that trees learn of, drawn where there are more
    loss: str = "xe_ndcg"
    fits: int = 1  # forests whose mean counts
    network: tuple[float, ...] = (0.0,)  # its weights that are tried

    @classmethod
    def of(cls, windows: list[Lists], params: FuseParams) -> Lesson:
        """Of the lists of `windows`, each asked of members and data of its own; those that are judged first."""
        members, reading = tuple(windows[0].members), Reading.of(windows[0].data)

        def learned(reading: Reading, part: Part) -> tuple[Ints, Ints, Floats, Bools, Ints]:
            data, size = reading.data, len(reading.data.items.item_id)
            candidates, signals = table(reading, lists_of(data, part.rows), part.chances, params.candidates)
            taken = np.isin(candidates.query * size + candidates.item, part.query * size + part.target)
            targets = np.bincount(part.query, minlength=len(part.rows))
            return candidates.query + part.first, candidates.item, signals, taken, targets

        parts, before = [], 0
        for lists in windows:
            reading = reading if reading.data is lists.data else Reading.of(lists.data)
            work = partial(learned, reading)
            parts += [(query + before, *rest) for query, *rest in lists.of_parts("candidates", work)]
            before += len(lists.rows)
        query, item, columns, taken, targets = map(np.concatenate, zip(*parts, strict=True))
        user = np.concatenate([lists.user for lists in windows])
        joined = Candidates(query, item, before)
        learned_of = joined, columns, taken, user, targets, len(windows[0].rows)
        dials = params.seed, params.trees, params.pairs, params.loss, params.fits, params.network
        return cls(members, params.candidates, *learned_of, *dials)

    @cached_property
    def choices(self) -> list[tuple[int, float]]:
        """How many trees, and the network's weight: what is tried."""
        return list(product(self.trees, self.network))

    def fit(self, queries: Bools, trees: int, weight: float) -> Reranker:
        """Learned of `queries` (q,), by as many forests as `fits` says, each of other pairs not taken.

        Args:
            weight: of the network, which learns where that is above 0.
        """
        learned = queries.copy()
        learned[np.setdiff1d(np.arange(len(queries)), self.candidates.query[self.taken])] = False  # they tell no order
        seeds = range(self.seed * self.fits, (self.seed + 1) * self.fits)
        reranker = Reranker.mean([self._grown(learned, trees, seed) for seed in seeds])
        if not weight:
            return reranker
        lists = self.columns, self.taken, self.candidates.start
        return replace(reranker, network=Listwise.fit(*lists, np.flatnonzero(learned), self.seed), weight=weight)

    def _grown(self, learned: Bools, trees: int, seed: int) -> Reranker:
        rows = learned[self.candidates.query]
        share = self.pairs / max((rows & ~self.taken).sum(), 1)
        rows &= self.taken | (np.random.default_rng(seed).random(len(rows)) < share)
        sizes = np.bincount(self.candidates.query[rows])
        lists = self.columns[rows], self.taken[rows].astype(np.int32), sizes[sizes > 0]
        return Reranker.fit(lists, self.members, self.each, self.loss, seed=seed, num_iterations=trees)

    def judge(self, folds: Mapping[int, int], k: int) -> Judgement | None:
        """None where some fold's trees have nothing to learn from.

        Args:
            folds: user → the fold in which the user's lists are judged.
        """
        fold = np.array([folds.get(user, -1) for user in self.user.tolist()])
        if any(not self._enough(fold != f) for f in set(folds.values())):
            return None
        values = np.zeros((len(self.choices), self.judged))
        parts = sorted(set(folds.values()))
        for f, part in zip(parts, side_by_side(partial(self._held, fold, k), parts), strict=True):
            held = fold[: self.judged] == f
            values[:, held] = part[:, held]
        best = int(np.argmax(values.mean(axis=1)))
        return Judgement(values[best], *self.choices[best])

    def _enough(self, queries: Bools) -> bool:
        return bool((self.taken & queries[self.candidates.query]).any())

    def _held(self, fold: Ints, k: int, f: int) -> Floats:
        """(choices, judged) NDCG@k, right for the queries of fold `f` alone."""
        reranker = self.fit(fold != f, max(self.trees), max(self.network))
        rows = np.flatnonzero((fold == f)[self.candidates.query])
        tried = reranker.scores_by(self.columns[rows], self.choices)
        return np.stack([self._ndcg(rows, scores, k) for scores in tried])

    def _ndcg(self, rows: Ints, scores: Floats, k: int) -> Floats:
        """(judged,) of lists that `scores` order the candidates `rows` in, ties against the model."""
        query, taken = self.candidates.query[rows], self.taken[rows]
        order = np.lexsort((taken, -scores, query))
        start = np.searchsorted(query, query[order])
        place = np.arange(len(order)) - start + 1
        gained = (taken[order] & (place <= k)) / np.log2(place + 1)
        gain = np.bincount(query[order], gained, minlength=len(self.user))[: self.judged]
        return gain / np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(self.targets[: self.judged], k) - 1]
