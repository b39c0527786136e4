"""Interactions in time order, and how many of them lie before a moment."""

from __future__ import annotations

import duckdb
import numpy as np

from triad.arrays import Floats, Ints
from triad.examples.lists import Lists
from triad.features.dataset import Streams
from triad.features.signals import IMPRESSION
from triad.features.splits import Windows, split_of
from triad.features.sql import HOUR, columns


def read(session: duckdb.DuckDBPyConnection, n_users: int, spans: Windows) -> tuple[Streams, Ints]:
    """All streams, and the (n,) user of each interaction. What lies outside all splits counts with the nearest."""
    events = columns(
        session,
        f"""
        SELECT user_no, item_no, time, kind FROM activity WHERE kind > {IMPRESSION} ORDER BY user_no, time, event_id
    """,
    )
    time, user = events["time"], events["user_no"]
    first, last = min(a for a, _ in spans.values()), max(b for _, b in spans.values())
    split = split_of(np.clip(time, first, last - 1), spans)
    offsets = np.searchsorted(user, np.arange(n_users + 1)).astype(np.int64)
    return Streams(offsets=offsets, item=events["item_no"], kind=events["kind"], time=time, split=split), user


def history(streams: Streams, stream_user: Ints, user: Ints, time: Ints) -> Ints:
    """(n,) how many of the user's interactions happened strictly before `time`."""
    if not len(user):
        return np.zeros(0, np.int32)
    low, high = streams.offsets[np.min(user)], streams.offsets[np.max(user) + 1]  # of these users alone
    happened, whose = streams.time[low:high], stream_user[low:high]
    moments = np.unique(happened)
    width = len(moments) + 1
    done = whose.astype(np.int64) * width + np.searchsorted(moments, happened)
    key = np.asarray(user, np.int64) * width + np.searchsorted(moments, time)
    return (np.searchsorted(done, key) + low - streams.offsets[user]).astype(np.int32)


def hours_since_last(streams: Streams, user: Ints, time: Ints, earlier: Ints) -> Floats:
    """(n,) hours from the user's last interaction before `time`; NaN where there is none."""
    if not len(streams.time):
        return np.full(len(user), np.nan, np.float32)
    last = streams.time[np.maximum(streams.offsets[user] + earlier - 1, 0)]
    return np.where(earlier > 0, (time - last) / HOUR, np.nan).astype(np.float32)


def lists(streams: Streams, stream_user: Ints, target_kind: int, spans: Windows) -> Lists:
    """The items a user takes by `target_kind` at one time, in the splits after train, as one question.

    An item that stands twice in a basket is one target: a list holds it once.
    """
    inside = split_of(streams.time, spans)
    event = streams.kind
    rows = np.flatnonzero((event == target_kind) & (inside > 0))
    rows = rows[np.lexsort((streams.item[rows], streams.time[rows], stream_user[rows]))]
    user, time, item = stream_user[rows], streams.time[rows], streams.item[rows]
    once = np.ones(len(rows), bool)
    once[1:] = (np.diff(user) != 0) | (np.diff(time) != 0) | (np.diff(item) != 0)
    rows, user, time = rows[once], user[once], time[once]
    starts = np.flatnonzero(np.r_[True, (np.diff(user) != 0) | (np.diff(time) != 0)]) if len(rows) else rows
    earlier = history(streams, stream_user, user[starts], time[starts])
    answerable = earlier > 0
    sizes = np.diff(np.r_[starts, len(rows)])
    return Lists(
        user=user[starts][answerable],
        history=earlier[answerable],
        time=time[starts][answerable],
        split=inside[rows][starts][answerable],
        offsets=np.r_[0, np.cumsum(sizes[answerable])].astype(np.int64),
        target=streams.item[rows][np.repeat(answerable, sizes)],
    )
