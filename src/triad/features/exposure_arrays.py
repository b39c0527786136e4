"""The arrays of the unit `exposures`: rows, labels and context, from the night's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.base import Made
from triad.examples.exposures import Exposures
from triad.features import exposures, labels, searches, signals, streams
from triad.features.context import Columns, Known, Rows, block, counts, learn
from triad.features.dataset import SPLITS
from triad.features.kept import Kept, Parted
from triad.features.labels import LabelRows, Shared, values_of
from triad.features.parts import Part, side_by_side
from triad.features.rates import Strengths
from triad.features.signals import Funnel
from triad.features.source import Source
from triad.features.splits import ends_inside, split_of
from triad.features.sql import DAY, HOUR, scalar, texts
from triad.matrices import Matrix, in_blocks, rows_of
from triad.texts import Texts, joined, joined_in

BLOCK = 50_000
"""Exposures whose context is made at once. From 20,000 to 200,000 the time is the same, the memory is not."""

STACKED = 1_000
"""Rows whose columns are put side by side at once: some 400 KB of them. Whole blocks take three times as long."""

FOLDER = Path("exposures")
"""Where the arrays lie in a store, as `dataset.save` lays them out."""

CONTEXT = FOLDER / "context.npy"

COLUMNS = ("user", "item", "time", "split", "history", "is_new_user")
"""Of exposures, as each part has them before labels and context."""

TRAIN = SPLITS.index("train")

LEARNED = 200_000
"""Train exposures whose entities say how far rates are to be trusted."""


def make(source: Source) -> Made:
    """The exposures of the log, or those asked for, with their labels and context.

    It drops the temporary tables of the log when it has read them, so the other units are made before it.
    """
    session, state = source.session, source.state
    params, funnel = state.params, _measured(source)
    if source.candidates is not None:  # what places on the page bring was measured on the log's own exposures
        exposures.replace(session, source.candidates, 0 if funnel.shown else params.sampled_negatives)

    parts = source.log.parts(len(source.users.user_id))
    known = _known(source, funnel, of_users=False)
    folder = source.store and source.store / source.log.parts_folder
    with Kept(parts, folder, in_memory=source.log.is_here) as kept:
        missing = [part for part in parts if not kept.has(part)]
        source.log.each(lambda part: kept.put(part, _gather(source, known, part)), missing)
        whole = _columns(source, kept)
        source.log.forget()
        if not known.strengths:
            known = replace(known, strengths=_strengths(source, known, kept))
        names, context = _context(source, known, kept)
        scales = _scales(source, whole["split"], context) if not source.learned("exposures") else {}
        event_id = _event_ids(source, kept)
    arrays = Exposures(event_id=event_id, **whole, context=context)
    return Made(arrays, {"strengths": dict(known.strengths)}, {"context": names, **scales})


def _columns(source: Source, kept: Kept) -> dict[str, Any]:
    """All arrays but the ids and context. A part at a time is in memory, the others where `Matrix` has them."""
    session, state, rows = source.session, source.state, kept.parts[-1].rows[1]
    known_until = max(state.meta.windows[SPLITS[-1]][1], (scalar(session, "SELECT max(day) FROM activity") + 1) * DAY)
    numbers = state.params.attribution_hours, known_until, source.grid
    is_cold = Texts.of(state.warm_items).places(source.catalogue.item_id) < 0
    whole: dict[str, Matrix] = {}
    shared = Shared()
    for part in reversed(kept.parts):  # what is labelled once is so on its last row
        values = dict(zip(COLUMNS, kept.columns(part, *COLUMNS), strict=True))
        own = (values[name] for name in ("user", "item", "time", "split"))
        labelled = LabelRows(
            *(session, *own, source.users.fold, state.meta.windows, *numbers, source.log, part.rows[0], shared)
        )
        values["labels"] = values_of("exposures", labelled, len(labelled.user), state)
        values["is_cold_item"] = is_cold[labelled.item]
        for name, array in values.items():
            if name not in whole:
                file = source.store and source.store / FOLDER / f"{name}.npy"
                whole[name] = Matrix(file, (rows, *array.shape[1:]), array.dtype)
            whole[name].write(part.rows[0], array)
    return {name: matrix.array() for name, matrix in whole.items()}


def _event_ids(source: Source, kept: Kept) -> Texts:
    def parts() -> Iterator[Texts]:
        return (kept.columns(part, "event_id")[0] for part in kept.parts)

    return joined(parts()) if source.store is None else joined_in(source.store / FOLDER / "event_id.arrow", parts)


def _gather(source: Source, known: Known, part: Part) -> Parted:
    """The part's arrays but its labels and context, and what its context is made from."""
    state, meta = source.state, source.state.meta
    with source.log.opened(part) as session:
        columns = exposures.read(session, state.surfaces, known.funnel.shown, part)
        event_id = texts(session, "event_id", f"exposure WHERE {part.rows_where}", "row")
        daily = signals.daily_sums(session, known.funnel, source.catalogue, of_users=True, part=part)
    user, time = columns["user"], columns["time"]
    rows = Rows(**columns, history=streams.history(source.streams, source.stream_user, user, time))
    days = split_of(time, meta.windows)
    whole = ends_inside(time, days, state.params.attribution_hours * HOUR, meta.windows)
    # -1 takes the last of these: what is later than every split is new to all of them
    begins = np.array([meta.windows[name][0] for name in SPLITS] + [meta.windows[SPLITS[-1]][1]], np.int64)[days]
    is_new = streams.history(source.streams, source.stream_user, user, begins) == 0
    split = np.where(whole, days, -1).astype(np.int8)
    return Parted(rows, daily, {"event_id": event_id, "split": split, "is_new_user": is_new})


def known(source: Source) -> Known:
    """What the context of any exposure of the day after the log is made from. It drops the tables of the log, too."""
    funnel = _measured(source)
    try:
        return _known(source, funnel, of_users=True)
    finally:
        source.log.forget()


def _measured(source: Source) -> Funnel:
    """Make `exposure` and `signal` of the log."""
    params, funnel = source.state.params, Funnel(source.state.kinds, labels.predicted(source.state.tasks))
    source.log.measure(funnel, 0 if funnel.shown else params.sampled_negatives, params.seed, params.attribution_hours)
    return funnel


def _known(source: Source, funnel: Funnel, *, of_users: bool) -> Known:
    """What context is made from; the sums of users only where they are asked for."""
    session, state = source.session, source.state
    daily = signals.daily_sums(source.log.tables, funnel, source.catalogue, of_users=False)
    return Known(
        funnel=funnel,
        surfaces=state.surfaces,
        catalogue=source.catalogue,
        streams=source.streams,
        daily=daily | (signals.daily_sums(session, funnel, source.catalogue, of_users=True) if of_users else {}),
        grid=source.grid,
        searches=searches.read(session, source.catalogue) if state.queries_given else None,
        places=signals.places(session) if funnel.shown else None,
        strengths=dict(source.learned("exposures").get("strengths", {})),
        # a sold item's own price of the day would tell it from a sampled one's
        price_lag=0 if state.prices_given and funnel.shown else 1,
    )


def _strengths(source: Source, known: Known, kept: Kept) -> Strengths:
    """Learned of the entities in train, by their counts at its end."""

    def train(part: Part) -> Ints:
        return np.flatnonzero(kept.columns(part, "split")[0] == TRAIN)

    before = np.cumsum([0, *(len(train(part)) for part in kept.parts)])
    step, end = 1 + int(before[-1]) // LEARNED, source.state.meta.windows["train"][1]
    seen = {part: train(part)[-first % step :: step] for part, first in zip(kept.parts, before[:-1], strict=True)}

    def counted(part: Part) -> tuple[Rows, dict[str, Columns]]:
        rows, daily = kept.get(part)
        own = rows.take(seen[part])
        own = replace(own, time=np.full(len(own.time), end, np.int64))
        return own, counts(replace(known, daily={**known.daily, **daily}), own)

    counted_parts = source.log.each(counted, kept.parts)
    rows = Rows(
        **{
            name: np.concatenate([getattr(own, name) for own, _ in counted_parts])
            for name in (each.name for each in fields(Rows))
        }
    )
    sums = {
        entity: {name: np.concatenate([each[entity][name] for _, each in counted_parts]) for name in columns}
        for entity, columns in counted_parts[0][1].items()
    }
    return learn(known, rows, sums)


def _context(source: Source, known: Known, kept: Kept) -> tuple[tuple[str, ...], Floats]:
    """Names and (n, n_context) values, block by block: no whole column ever stands beside the matrix."""
    first, daily = kept.get(kept.parts[0])
    names = tuple(block(replace(known, daily={**known.daily, **daily}), first.take(slice(0))))
    del first, daily  # they would stand beside every part
    matrix = Matrix(source.store and source.store / CONTEXT, (kept.parts[-1].rows[1], len(names)))

    def fill(part: Part) -> None:
        rows, daily = kept.get(part)
        own = replace(known, daily={**known.daily, **daily})
        for start in range(0, len(rows.user), BLOCK):
            values = block(own, rows.take(slice(start, start + BLOCK)))
            matrix.write(part.rows[0] + start, _stacked([values[name] for name in names]))
        matrix.sync()
        kept.done(part)

    # where a power cut took the matrix, the marks of its parts may still be there
    source.log.each(fill, [part for part in kept.parts if matrix.is_new or not kept.is_done(part)])
    return names, matrix.array()


def _stacked(columns: Sequence[Floats]) -> Floats:
    """(n, columns) float32. So many rows at a time that what is written stays near the processor."""
    stacked = np.empty((len(columns[0]), len(columns)), np.float32)
    for start in range(0, len(stacked), STACKED):
        rows = slice(start, start + STACKED)
        for place, column in enumerate(columns):
            stacked[rows, place] = column[rows]
    return stacked


def _train_blocks(split: Ints) -> list[tuple[int, int]]:
    """Ranges of rows that hold `BLOCK` train rows each, but for the last."""
    starts, before = list[int](), 0
    for rows, (own,) in in_blocks(split):
        train = np.flatnonzero(own == TRAIN)
        starts += (rows.start + train[-before % BLOCK :: BLOCK]).tolist()
        before += len(train)
    return list(pairwise([*starts, len(split)]))


def _scales(source: Source, split: Ints, context: Floats) -> dict[str, Any]:
    """Each context column's mean and deviation over train rows, NaN left out."""
    width = context.shape[1]

    def added(span: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
        rows = span[0] + np.flatnonzero(rows_of(split, np.arange(*span)) == TRAIN)
        values = rows_of(context, rows)
        known = np.isfinite(values)
        values[~known] = 0
        # both in doubles, row by row: a block of doubles would stand beside this one on each thread
        square = np.einsum("ij,ij->j", values, values, dtype=np.float64)
        return np.count_nonzero(known, axis=0), values.sum(0, dtype=np.float64), square

    count, total, square = np.zeros(width), np.zeros(width), np.zeros(width)
    for one in side_by_side(source.session, added, _train_blocks(split)):
        count, total, square = count + one[0], total + one[1], square + one[2]
    mean = total / np.maximum(count, 1)
    std = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
    return {"context_mean": tuple(mean.tolist()), "context_std": tuple(np.where(std > 1e-5, std, 1.0).tolist())}
