"""Teaches the re-ranker anew on lists whose members knew all days before them, as the members that serve do.

The evaluated re-ranker learned its order from members that were up to two windows old. To it an item of much sale and
little standing with the members is a launch; members that were refitted know that item. No paths, no training: who
calls it makes the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from triad.arrays import Ints
from triad.config.fuse import FuseParams
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.features.splits import Windows
from triad.features.streams import lists
from triad.fusion.fused import Fused
from triad.fusion.lists import Lists
from triad.fusion.reranking import Lesson
from triad.kinds import KINDS
from triad.members.mask_seen import MaskSeen
from triad.members.protocol import Retriever


def before(data: Dataset, first: int, last: int) -> Dataset:
    """`data` as it was at `first` µs: earlier days are train, and the lists of [first, last) are those of validation.

    What is later lies in no window: members neither learn of it nor are asked about it.
    """
    begin, end = data.meta.windows["train"][0], max(span[1] for span in data.meta.windows.values())
    spans: Windows = dict(zip(SPLITS, ((begin, first), (first, last), (last, end), (end, end)), strict=True))
    streams = data.streams
    time, user = np.asarray(streams.time), np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))
    place = np.searchsorted([first, last], time, side="right").astype(np.int8)
    rows = data.exposures
    known = np.where((np.asarray(rows.split) == 0) & (np.asarray(rows.time) >= first), -1, rows.split)
    return data.replaced(
        streams=replace(streams, split=place),
        exposures=replace(rows, split=known.astype(np.int8)),
        lists=lists(streams, user, data.meta.target_kind, spans),
        meta=replace(data.meta, windows=spans),
    )


def asked(fused: Fused, data: Dataset, most: int, seed: int) -> Lists:
    """At most `most` lists of the split validation, for the members that the re-ranker of `fused` reads."""
    assert fused.reranker is not None and fused.ranking is not None
    rows: Ints = data.rows("validation", "lists")
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    members: dict[str, Retriever] = {}
    for name in fused.reranker.members:
        member = fused.members[name]
        assert isinstance(member, Retriever), name
        members[name] = MaskSeen(member) if fused.mask_seen else member
    return Lists(data, members, rows, KINDS[fused.kinds[fused.ranking]])


def relearned(fused: Fused, windows: Sequence[Lists], params: FuseParams) -> Fused:
    """`fused` with the order that was chosen, learned of the lists of `windows`; as it is where nothing was taken."""
    assert fused.ranking is not None
    answered = [each for each in windows if len(each.rows)]
    lesson = Lesson.of(answered, params) if answered else None
    if lesson is None or not lesson.taken.any():
        return fused
    chosen = fused.record[fused.ranking]["reranked"]
    learned = lesson.fit(np.ones(len(lesson.user), bool), chosen["trees"], chosen.get("network", 0.0))
    return replace(fused, reranker=learned)
