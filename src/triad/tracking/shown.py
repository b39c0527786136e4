"""Pairs of a customer and an item at a moment as exposures, each as the log would hold it, made from arrays alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.features.context import Known, Rows, block
from triad.features.dataset import Users
from triad.texts import Texts, joined
from triad.threads import side_by_side

BLOCK = 20_000
"""Exposures whose context a processor makes at once."""


def first_on_page(
    data: Dataset, known: Known, moment: int, surface: str | None, slots: Mapping[tuple[str, int], int]
) -> Callable[[Ints, Ints], Dataset]:
    """Makes exposures of (n,) users and items: each the first thing on a page of `surface` at `moment` (µs).

    Args:
        slots: (surface, slot) → the number that a place has in `known`.
    """
    before = np.r_[0, np.cumsum(np.asarray(data.streams.time) < moment)]
    history = np.diff(before[np.asarray(data.streams.offsets)]).astype(np.int32)
    position = 1 if known.funnel.shown else np.nan  # else no log tells one
    number = known.surfaces.index(surface) if surface in known.surfaces else -1
    place = slots.get((surface or "", 1), -1)

    def shown(user: Ints, item: Ints) -> Dataset:
        count = len(user)
        where = (
            np.full(count, position, np.float32),
            np.full(count, number, np.int8),
            np.full(count, np.nan, np.float32),
        )
        rows = Rows(
            user, item, np.full(count, moment), history[user], *where, np.full(count, -1), np.full(count, place)
        )
        return as_shown(data, known, rows)

    return shown


def as_shown(data: Dataset, known: Known, rows: Rows) -> Dataset:
    """`data` with `rows` as its exposures: they have context, and neither an id nor a label.

    Args:
        known: what context is made from; streams are those of `data`.
    """
    count = len(rows.user)
    context = partial(_context, data.meta.context, replace(known, streams=data.streams))
    parts = [rows.take(slice(start, start + BLOCK)) for start in range(0, max(count, 1), BLOCK)]
    exposures = Exposures(
        event_id=Texts.of([""] * count),
        user=rows.user,
        item=rows.item,
        time=rows.time,
        split=np.full(count, -1, np.int8),
        history=rows.history,
        context=np.concatenate(side_by_side(context, parts)),
        labels=np.full((count, len(data.meta.tasks["exposures"])), np.nan, np.float32),
        is_new_user=np.zeros(count, bool),
        is_cold_item=np.zeros(count, bool),
    )
    return data.replaced(exposures=exposures)


def _context(names: tuple[str, ...], known: Known, rows: Rows) -> Floats:
    """(n, names) of `rows`."""
    columns = block(known, rows)
    return np.stack([np.asarray(columns[name], np.float32) for name in names]).T


def with_guest(data: Dataset, known: Known, moment: int) -> tuple[Dataset, Known]:
    """Both with one user more, the last, of whom nothing is known and who signed up at `moment` (µs)."""
    users, streams, catalogue = data.users, data.streams, known.catalogue
    names, since = joined([users.user_id, Texts.of([""])]), np.append(users.signed_up_at, moment)
    fresh = Users(names, np.pad(users.attributes, ((0, 1), (0, 0))), since, np.append(users.fold, 0))
    longer = replace(streams, offsets=np.append(streams.offsets, streams.offsets[-1]))
    catalogue = replace(catalogue, user_id=names, signed_up_at=np.append(catalogue.signed_up_at, moment))
    return data.replaced(users=fresh, streams=longer), replace(known, catalogue=catalogue, streams=longer)
