"""The fusion window's ranking queries, read in parts, and what a fused list is worth beside each member's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from triad.features.dataset import Dataset, Floats, Ints
from triad.fusion.crossfit import Judged, Mix
from triad.fusion.fused import mixed_ranking
from triad.fusion.members import Member
from triad.progress import Progress
from triad.ranking import ranking_values, target_ranks

_CELLS = 4_000_000
"""Scores a member gives at once: queries × items."""


@dataclass(frozen=True)
class Part:
    """Some queries, with their targets."""

    data: Dataset
    rows: Ints  # (q,) queries of `data`
    query: Ints  # (t,) place in `rows` of each target
    target: Ints  # (t,) items

    def rank(self, member: Member) -> Floats:
        """(q, n_items) the member's probabilities."""
        queries = self.data.queries
        return member.rank(self.data, np.asarray(queries.user)[self.rows], np.asarray(queries.history)[self.rows])


@dataclass(frozen=True)
class Lists:
    """Queries `rows` of `data`, and the members that rank."""

    data: Dataset
    members: Mapping[str, Member]
    rows: Ints

    @cached_property
    def place(self) -> Ints:
        """(targets,) which of `rows` each target belongs to."""
        offsets = np.asarray(self.data.queries.offsets)
        return np.repeat(np.arange(len(self.rows)), offsets[self.rows + 1] - offsets[self.rows])

    @cached_property
    def user(self) -> Ints:
        """(queries,)."""
        return np.asarray(self.data.queries.user)[self.rows]

    def parts(self) -> Iterator[Part]:
        """All queries in order, in parts that fit in memory."""
        offsets, targets = np.asarray(self.data.queries.offsets), np.asarray(self.data.queries.target)
        block = max(1, _CELLS // len(self.data.items.item_id))
        for rows in np.split(self.rows, range(block, len(self.rows), block)):
            query = np.repeat(np.arange(len(rows)), offsets[rows + 1] - offsets[rows])
            yield Part(self.data, rows, query, np.concatenate([targets[offsets[r] : offsets[r + 1]] for r in rows]))


def worth(lists: Lists, k: int, mixes: list[Mix], fold: Ints) -> Judged:
    """NDCG@k of each query's list: every member alone, and mixed as the query's fold was.

    Args:
        fold: (targets,) places in `mixes`; the targets of a query share theirs.
    """
    by_query = fold[np.searchsorted(lists.place, np.arange(len(lists.rows)))]
    alone, fused, start = [], [], 0
    with Progress("judge", len(lists.rows), "queries") as progress:
        for part in lists.parts():
            scores = {name: part.rank(member) for name, member in lists.members.items()}
            of_part = by_query[start : start + len(part.rows)]
            start += len(part.rows)
            mixed = np.empty_like(next(iter(scores.values())), dtype=np.float64)
            for k_th in np.unique(of_part):
                here, mix = of_part == k_th, mixes[k_th]
                mixed[here] = mixed_ranking(mix.calibrations, mix.weights, {n: s[here] for n, s in scores.items()})
            alone.append(np.stack([_ndcg(part, found, k) for found in scores.values()], axis=1))
            fused.append(_ndcg(part, mixed, k))
            progress.advance(len(part.rows))
    return Judged(f"NDCG@{k}", np.concatenate(alone), np.concatenate(fused), lists.user)


def _ndcg(part: Part, scores: Floats, k: int) -> Floats:
    return ranking_values(target_ranks(scores, part.query, part.target), part.query, len(part.rows), k)[:, 0]
