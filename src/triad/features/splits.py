"""Which split contains a moment, and which split may show a user's own label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np

from triad.arrays import Ints
from triad.config.features import SplitDays
from triad.features.dataset import SPLITS
from triad.features.sql import DAY

Windows = dict[str, tuple[int, int]]

FOLD_SHARES = (0.55, 0.15, 0.15, 0.15)
"""Shares of the users whose own labels each split shows, in the order of SPLITS."""


def windows(start: date, end: date, days: SplitDays) -> Windows:
    """`[start, end)` cut into the four splits, each `[first, last)` in µs; train takes what the others leave."""
    last = _micros(end)
    cuts = [last]
    for length in (days.test, days.fusion, days.validation):
        cuts.append(cuts[-1] - length * DAY)
    cuts.append(_micros(start))
    cuts.reverse()
    if cuts[1] <= cuts[0]:
        raise ValueError(f"the window {start} … {end} has no days left for train")
    return {split: (cuts[place], cuts[place + 1]) for place, split in enumerate(SPLITS)}


def whole(start: date, end: date) -> Windows:
    """`[start, end)` as train alone: the splits after it are empty."""
    first, last = _micros(start), _micros(end)
    return {split: (last if place else first, last) for place, split in enumerate(SPLITS)}


def last_train_day(spans: Mapping[str, Sequence[int]]) -> str:
    """The last day of the split `train`, as YYYY-MM-DD."""
    return str(np.datetime64(spans["train"][1] - 1, "us").astype("datetime64[D]"))


def split_of(time: Ints, spans: Windows) -> Ints:
    """(n,) place in SPLITS of the days that hold each moment; -1 before the first and after the last."""
    edges = np.array([spans[split][0] for split in SPLITS] + [spans[SPLITS[-1]][1]], np.int64)
    place = np.searchsorted(edges, np.asarray(time, np.int64), side="right") - 1
    return np.where(place < len(SPLITS), place, -1).astype(np.int8)


def ends_inside(time: Ints, split: Ints, reach: int, spans: Windows) -> np.ndarray:
    """(n,) whether `time + reach` µs is not after the end of each row's split; False where split is -1."""
    last = np.array([spans[name][1] for name in SPLITS], np.int64)
    split = np.asarray(split)
    return (split >= 0) & (np.asarray(time, np.int64) + reach <= last[split])


def folds(user_ids: Iterable[str]) -> Ints:
    """(n,) split of each user's fold, by md5 of the id: stable between nights and machines."""
    share = np.array([int(hashlib.md5(user.encode()).hexdigest()[:8], 16) for user in user_ids], np.float64) / 2**32
    return np.searchsorted(np.cumsum(FOLD_SHARES)[:-1], share, side="right").astype(np.int8)


def _micros(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
