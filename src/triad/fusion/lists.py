"""The fusion window's ranking queries, read in parts, and the quality of a fused list and of each member's list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.fusion.blends import Blend
from triad.fusion.question import Judged, Mix
from triad.kinds.base import Kind
from triad.members.chances import Blocks, Chances, opened
from triad.members.protocol import Retriever
from triad.progress import Progress
from triad.ranking import ndcg, ndcg_of
from triad.threads import side_by_side

_CELLS = 1_000_000
"""Scores a member gives at once, queries × items: memory is flat in the catalogue, and every processor has parts."""
R = TypeVar("R")


@dataclass(frozen=True)
class Part:
    """Some queries, with their targets."""

    data: Dataset
    rows: Ints  # (q,) queries of `data`
    query: Ints  # (t,) place in `rows` of each target
    target: Ints  # (t,) items
    chances: Mapping[str, Chances]  # member → what it says
    first: int = 0  # place of the first of `rows` among all that are asked about

    @property
    def history(self) -> Ints:
        """(q,) interactions before each query."""
        return np.asarray(self.data.lists.history)[self.rows]


@dataclass(frozen=True)
class Lists:
    """Queries `rows` of `data`, and the members that rank."""

    data: Dataset
    members: Mapping[str, Retriever]
    rows: Ints
    kind: Kind

    @cached_property
    def place(self) -> Ints:
        """(targets,) which of `rows` each target belongs to."""
        offsets = np.asarray(self.data.lists.offsets)
        return np.repeat(np.arange(len(self.rows)), offsets[self.rows + 1] - offsets[self.rows])

    @cached_property
    def user(self) -> Ints:
        """(queries,)."""
        return np.asarray(self.data.lists.user)[self.rows]

    @cached_property
    def _blocks(self) -> dict[str, Blocks]:
        lists = self.data.lists
        asked = [np.asarray(each)[self.rows] for each in (lists.user, lists.history, lists.time)]
        return {name: opened(member, self.data, *asked) for name, member in self.members.items()}

    def of_parts(self, label: str, work: Callable[[Part], R]) -> list[R]:
        """`work` of all queries, in parts that fit in memory, side by side; the results are in order."""
        block = max(1, _CELLS // len(self.data.items.item_id))
        with Progress(label, len(self.rows), "queries") as progress:

            def one(start: int) -> R:
                part = self._part(slice(start, start + block))
                done = work(part)
                progress.advance(len(part.rows))
                return done

            self._blocks  # noqa: B018  # opened once, before anybody asks
            with threadpool_limits(1, "blas"):  # each part keeps to one thread
                return side_by_side(one, range(0, len(self.rows), block))

    def _part(self, part: slice) -> Part:
        offsets, targets = np.asarray(self.data.lists.offsets), np.asarray(self.data.lists.target)
        rows, chances = self.rows[part], {name: of(part) for name, of in self._blocks.items()}
        query = np.repeat(np.arange(len(rows)), offsets[rows + 1] - offsets[rows])
        target = np.concatenate([targets[offsets[r] : offsets[r + 1]] for r in rows])
        return Part(self.data, rows, query, target, chances, part.start)


def candidates(part: Part, scores: Mapping[str, Floats], each: int) -> Floats:
    """(targets, 1 + members · each, members) log probabilities of each target, then of each member's best others.

    What two members name stands once; the rest is −inf.
    """
    best = [np.argpartition(-values, each, axis=1)[:, :each] for values in scores.values()]
    named = np.sort(np.concatenate(best, axis=1), axis=1)
    again = np.diff(named, axis=1, prepend=-1) == 0
    taken = np.zeros(named.shape, bool)
    for query, target in zip(part.query, part.target, strict=True):  # no target is a candidate against another
        taken[query] |= named[query] == target
    log = np.stack([np.log(np.maximum(values, 1e-12)) for values in scores.values()], axis=-1)
    others = log[np.arange(len(named))[:, None], named]
    others[again | taken] = -np.inf
    return np.concatenate([log[part.query, part.target][:, None], others[part.query]], axis=1)


def worth(lists: Lists, k: int, mixes: list[Mix], fold: Ints) -> Judged:
    """NDCG@k of each query's list: every member alone, and by each of the blends of the query's fold.

    Args:
        fold: (targets,) places in `mixes`; the targets of a query share theirs.
    """
    by_query = fold[np.searchsorted(lists.place, np.arange(len(lists.rows)))]

    weighed = {name for mix in mixes for blend in mix.blends for name in lists.members if blend.weighs(name)}

    def judged(part: Part) -> tuple[Floats, Floats, Floats]:
        scores = {name: of.table() for name, of in part.chances.items() if name in weighed}
        of_part = by_query[part.first : part.first + len(part.rows)]
        calibrated = {
            f: {
                name: lists.kind.calibrate(mixes[f].calibrations[name], each[of_part == f])
                for name, each in scores.items()
                if any(blend.weighs(name) for blend in mixes[f].blends)
            }
            for f in np.unique(of_part)
        }
        quality, chance = [], []
        for blends in zip(*(mix.blends for mix in mixes), strict=True):
            mixed = _by_fold(lists, part, of_part, blends, calibrated)
            quality.append(ndcg(mixed, part.query, part.target, k))
            chance.append(mixed[part.query, part.target])
        asked, queries = (part.query, part.target), len(part.rows)
        alone = [ndcg_of(of.ranks(*asked), part.query, queries, k) for of in part.chances.values()]
        return np.stack(alone, axis=1), np.stack(quality, axis=1), np.stack(chance, axis=1)

    alone, fused, likelihood = map(np.concatenate, zip(*lists.of_parts("judge", judged), strict=True))
    return Judged(f"NDCG@{k}", alone, fused, lists.user, likelihood)


def _by_fold(
    lists: Lists, part: Part, fold: Ints, blends: Sequence[Blend], calibrated: Mapping[int, Mapping[str, Floats]]
) -> Floats:
    """(q, n_items) each query mixed by the blend of its fold."""
    mixed = np.empty((len(part.rows), len(part.data.items.item_id)))
    for f, scores in calibrated.items():
        mixed[fold == f] = blends[f].mix(lists.kind, scores, part.history[fold == f])
    return mixed
