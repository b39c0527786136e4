"""The arrays of the unit `exposures`: rows, labels and context, from the night's tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.base import Made
from triad.examples.exposures import Exposures
from triad.features import exposures, labels, searches, signals, streams
from triad.features.context import Known, Rows, block, learn
from triad.features.dataset import SPLITS
from triad.features.labels import LabelRows, values_of
from triad.features.rates import Strengths
from triad.features.signals import Funnel
from triad.features.source import Source
from triad.features.splits import ends_inside, split_of
from triad.features.sql import DAY, HOUR, scalar, texts
from triad.texts import Texts

BLOCK = 50_000
"""Exposures whose context is made at once. From 20,000 to 200,000 the time is the same, the memory is not."""

LEARNED = 200_000
"""Train exposures whose entities say how far rates are to be trusted."""


def make(source: Source) -> Made:
    """The exposures of the log, or those asked for, with their labels and context.

    It drops the temporary tables of the log when it has read them, so the other units are made before it.
    """
    session, state, streams_ = source.session, source.state, source.streams
    params, meta, funnel = state.params, state.meta, _measured(source)
    if source.candidates is not None:  # what places on the page bring was measured on the log's own exposures
        exposures.replace(session, source.candidates, 0 if funnel.shown else params.sampled_negatives)

    columns = exposures.read(session, state.surfaces, funnel.shown)
    user, time = columns["user"], columns["time"]
    rows = Rows(**columns, history=streams.history(streams_, source.stream_user, user, time))
    days = split_of(time, meta.windows)
    whole = ends_inside(time, days, params.attribution_hours * HOUR, meta.windows)
    split = np.where(whole, days, -1).astype(np.int8)
    # -1 takes the last of these: what is later than every split is new to all of them
    begins = np.array([meta.windows[name][0] for name in SPLITS] + [meta.windows[SPLITS[-1]][1]], np.int64)[days]

    known_until = max(meta.windows[SPLITS[-1]][1], (scalar(session, "SELECT max(day) FROM activity") + 1) * DAY)
    numbers = params.attribution_hours, known_until, source.grid
    for_labels = LabelRows(session, user, rows.item, time, split, source.users.fold, meta.windows, *numbers)
    label = values_of("exposures", for_labels, len(user), state)
    known = _known(source, funnel)
    event_id = texts(session, "event_id", "exposure", "row")
    signals.forget(session)
    if not known.strengths:
        known = replace(known, strengths=_strengths(known, rows, split, meta.windows["train"][1]))
    names, context = _context(known, rows)
    arrays = Exposures(
        event_id=event_id,
        user=user,
        item=rows.item,
        time=time,
        split=split,
        history=rows.history,
        context=context,
        labels=label,
        is_new_user=streams.history(streams_, source.stream_user, user, begins) == 0,
        is_cold_item=(Texts.of(state.warm_items).places(source.catalogue.item_id) < 0)[rows.item],
    )
    fitting = not source.learned("exposures")
    scales = _scales(arrays) if fitting else {}
    return Made(arrays, {"strengths": dict(known.strengths)}, {"context": names, **scales})


def known(source: Source) -> Known:
    """What the context of any exposure of the day after the log is made from. It drops the tables of the log, too."""
    funnel = _measured(source)
    try:
        return _known(source, funnel)
    finally:
        signals.forget(source.session)


def _measured(source: Source) -> Funnel:
    """Make `exposure` and `signal` of the log."""
    params, funnel = source.state.params, Funnel(source.state.kinds, labels.predicted(source.state.tasks))
    exposures.build(source.session, funnel.kinds[0], 0 if funnel.shown else params.sampled_negatives, params.seed)
    signals.measure(source.session, funnel, params.attribution_hours)
    return funnel


def _known(source: Source, funnel: Funnel) -> Known:
    session, state = source.session, source.state
    return Known(
        funnel=funnel,
        surfaces=state.surfaces,
        catalogue=source.catalogue,
        streams=source.streams,
        daily=signals.daily_sums(session, funnel, source.catalogue),
        grid=source.grid,
        searches=searches.read(session, source.catalogue) if state.queries_given else None,
        places=signals.places(session) if funnel.shown else None,
        strengths=dict(source.learned("exposures").get("strengths", {})),
        # a sold item's own price of the day would tell it from a sampled one's
        price_lag=0 if state.prices_given and funnel.shown else 1,
    )


def _strengths(source: Known, rows: Rows, split: Ints, end: int) -> Strengths:
    """Learned of the entities in train, by their counts at its end."""
    train = np.flatnonzero(split == SPLITS.index("train"))
    seen = rows.take(train[:: 1 + len(train) // LEARNED])
    return learn(source, replace(seen, time=np.full(len(seen.time), end, np.int64)))


def _context(source: Known, rows: Rows) -> tuple[tuple[str, ...], Floats]:
    """Names and (n, n_context) values, block by block: no whole column ever stands beside the matrix."""
    names = tuple(block(source, rows.take(slice(0))))
    context = np.empty((len(rows.user), len(names)), np.float32)
    for start in range(0, len(rows.user), BLOCK):
        part = slice(start, start + BLOCK)
        values = block(source, rows.take(part))
        for column, name in enumerate(names):
            context[part, column] = values[name]
    return names, context


def _scales(exposures: Exposures) -> dict[str, Any]:
    """Each context column's mean and deviation over train rows, NaN left out."""
    rows, width = np.flatnonzero(exposures.split == SPLITS.index("train")), exposures.context.shape[1]
    count, total, square = np.zeros(width), np.zeros(width), np.zeros(width)
    for start in range(0, len(rows), BLOCK):
        values = exposures.context[rows[start : start + BLOCK]].astype(np.float64)
        known = np.isfinite(values)
        values[~known] = 0
        count, total, square = count + known.sum(0), total + values.sum(0), square + (values**2).sum(0)
    mean = total / np.maximum(count, 1)
    std = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
    return {"context_mean": tuple(mean.tolist()), "context_std": tuple(np.where(std > 1e-5, std, 1.0).tolist())}
