"""A shop in memory: every part of the `Dataset` contract, with signal that a model can learn. No tables, no files.

Users favour one of four categories, know a segment that follows from it, click what they favour more often near the
top of a page, and buy what is cheap; prices move back to their level. Days 0-15 train | 16-19 | 20-24 | 25-29.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS, Items, Meta, Streams, Users, without_vectors
from triad.texts import Texts

DAY = 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01 UTC, µs
ENDS = np.array([16, 20, 25, 30])  # first day after each split
CATEGORIES, PAGE, BUCKETS, MIN_COUNT = 4, 5, 4, 3
SEGMENTS = ("bargain", "loyal", "rare")
CONTEXT = ("position", "item_click_rate", "price_gap", "hours_since_last")


def make_dataset(  # noqa: PLR0915 — one array after the other
    users: int = 60, items: int = 40, seed: int = 0, *, pages: float = 12.0
) -> Dataset:
    """A dataset of `users` users that each see about `pages` pages of five items among `items`."""
    random = np.random.default_rng(seed)
    favourite = random.integers(CATEGORIES, size=users)
    segment = np.where(random.random(users) < 0.9, np.minimum(favourite, 2), random.integers(3, size=users))
    category = np.arange(items) % CATEGORIES
    appeal = random.normal(0, 0.5, items)
    log_price = random.normal(7.5, 0.6, items)
    price_gap = random.normal(0, 0.2, (items, 30))  # log price over its usual level, by item and day

    shown: list[tuple] = []  # user, time, item, position, clicked, purchased, history
    stream: list[tuple] = []  # user, time, item, kind
    for user in range(users):
        count = 1 + random.poisson(pages - 1)
        starts = np.sort(random.choice(30 * 24, size=count, replace=False)) * (DAY // 24)
        done: list[tuple] = []
        for start in starts:
            weight = np.exp(1.2 * (category == favourite[user]) + appeal)
            page = random.choice(items, size=min(PAGE, items), replace=False, p=weight / weight.sum())
            day = int(start // DAY)
            history = len(done)
            for position, item in enumerate(page, start=1):
                logit = -1.6 + 2.4 * (category[item] == favourite[user]) + appeal[item] - 0.3 * (position - 1)
                clicked = random.random() < 1 / (1 + np.exp(-logit))
                buy = 1 / (1 + np.exp(0.2 + 6 * price_gap[item, day]))
                purchased = bool(clicked and random.random() < buy)
                shown.append((user, start, item, position, clicked, purchased, history))
                if clicked:
                    done.append((user, start + (60 * position) * 1_000_000, item, 1))
                if purchased:
                    done.append((user, start + (60 * position + 30) * 1_000_000, item, 3))
        stream += done

    s_user, s_time, s_item, s_kind = (np.array(column, np.int64) for column in zip(*stream, strict=True))
    s_split = np.searchsorted(ENDS * DAY, s_time, side="right")
    offsets = np.searchsorted(s_user, np.arange(users + 1))
    e_user, e_time, e_item, position, clicked, purchased, history = (
        np.array(column, np.int64) for column in zip(*shown, strict=True)
    )
    e_split = np.searchsorted(ENDS * DAY, e_time, side="right")
    day = e_time // DAY

    clicks_before = np.zeros((items, 31))
    np.add.at(clicks_before, (s_item[s_kind == 1], s_time[s_kind == 1] // DAY + 1), 1)
    last = np.where(history > 0, s_time[np.maximum(offsets[e_user] + history - 1, 0)], -1)
    hours = np.where(history > 0, (e_time - last) / (DAY / 24), np.nan)
    context = np.stack(
        [position, np.log1p(np.cumsum(clicks_before, axis=1)[e_item, day]), price_gap[e_item, day], hours], axis=1
    ).astype(np.float32)

    fold = random.choice(4, size=users, p=[0.4, 0.2, 0.2, 0.2])
    e_split = np.where(day + 1 == ENDS[e_split], -1, e_split)  # labels reach into the next day
    labels = np.full((len(e_user), 4), np.nan, np.float32)
    labels[:, 0], labels[:, 1] = clicked, purchased
    own = _own(e_user, day, e_split, fold)
    labels[own, 2] = segment[e_user[own]]
    _, item_day = np.unique(np.stack([e_item, day], 1), axis=0, return_index=True)
    item_day = item_day[(e_split[item_day] >= 0) & (day[item_day] + 3 < ENDS[e_split[item_day]])]
    noise = random.normal(0, 0.03, (items, 30))
    labels[item_day, 3] = -0.8 * price_gap[e_item, day][item_day] + noise[e_item, day][item_day]

    train = e_split == 0
    in_split = np.bincount(s_item[s_split == 0], minlength=items)
    frequent = in_split >= MIN_COUNT
    rows = np.where(frequent, BUCKETS + np.cumsum(frequent), 1 + np.arange(items) % BUCKETS)
    words = 1 + np.stack([category, 4 + np.arange(items) % 5, np.where(np.arange(items) % 2, 9 + category, -1)], axis=1)

    first_split = np.array([0, *ENDS[:3]]) * DAY
    first_time = np.full(users, np.iinfo(np.int64).max)
    np.minimum.at(first_time, s_user, s_time)
    return Dataset(
        items=Items(
            item_id=Texts.of(f"i{row:04d}" for row in range(items)),
            vocabulary_row=rows.astype(np.int32),
            category=np.stack([1 + category, 1 + np.arange(items) % 8], axis=1).astype(np.int32),
            brand=(1 + np.arange(items) % 6).astype(np.int32),
            tokens=words.astype(np.int32),
            log_price=log_price.astype(np.float32),
            available_from=np.full(items, START - DAY),
            **without_vectors(items),
        ),
        users=Users(
            user_id=Texts.of(f"u{row:05d}" for row in range(users)),
            attributes=np.stack([1 + np.arange(users) % 3, np.arange(users) % 3], axis=1).astype(np.int32),
            signed_up_at=np.full(users, START - DAY),
            fold=fold.astype(np.int8),
        ),
        streams=Streams(
            offsets=offsets,
            item=s_item.astype(np.int32),
            kind=s_kind.astype(np.int8),
            time=START + s_time,
            split=s_split.astype(np.int8),
        ),
        units={
            "exposures": Exposures(
                event_id=Texts.of(f"e{row:06d}" for row in range(len(e_user))),
                user=e_user.astype(np.int32),
                item=e_item.astype(np.int32),
                time=START + e_time,
                split=e_split.astype(np.int8),
                history=history.astype(np.int32),
                context=context,
                labels=labels,
                is_new_user=first_time[e_user] >= first_split[np.maximum(e_split, 0)],
                is_cold_item=~frequent[e_item],
            ),
            "lists": _lists(offsets, s_user, s_item, s_time, np.where(s_kind == 1, s_split, 0)),
        },
        meta=Meta(
            tasks={"exposures": ("click", "conversion", "profile", "price")},
            classes={"profile": SEGMENTS},
            context=CONTEXT,
            context_mean=tuple(float(v) for v in np.nanmean(context[train], axis=0)),
            context_std=tuple(float(v) for v in np.nanstd(context[train], axis=0)),
            vocabulary_rows={
                "item": int(rows.max()) + 1,
                "category": 9,
                "brand": 7,
                "token": int(words.max()) + 1,
                "country": 4,
                "device": 3,
            },
            target_kind=1,
            windows={
                name: (int(START + first * DAY), int(START + end * DAY))
                for name, first, end in zip(SPLITS, (0, *ENDS[:3]), ENDS, strict=True)
            },
            negatives_sampled=False,
            oov_rate=float(1 - frequent[s_item[s_split == 0]].mean()),
        ),
    )


def of_two_users(data: Dataset, time: Sequence[int]) -> Dataset:
    """`data` with the streams of two users alone: items 3 5 3 7 and 2 9, at these times (6,)."""
    streams = Streams(
        offsets=np.r_[0, 4, np.full(len(data.users.user_id) - 1, 6)],
        item=np.array([3, 5, 3, 7, 2, 9]),
        kind=np.ones(6, np.int8),
        time=np.array(time),
        split=np.zeros(6, np.int8),
    )
    return replace(data, streams=streams)


def _own(user, day, split, fold):
    """Rows that may show the user's own label: one a day in train, the last one in later splits."""
    own = np.flatnonzero(split == fold[user])
    in_train = split[own] == 0
    _, a_day = np.unique(np.stack([user, day], 1)[own[in_train]], axis=0, return_index=True)
    later = own[~in_train][::-1]
    _, a_user = np.unique(user[later], return_index=True)
    return np.r_[own[in_train][a_day], later[a_user]]


def _lists(offsets, user, item, time, split) -> Lists:
    """One query a click after train that has a history; clicks of one moment are one query."""
    rows = np.flatnonzero(split > 0)
    spans = zip(offsets[user[rows]], offsets[user[rows] + 1], time[rows], strict=True)
    before = np.array([np.searchsorted(time[first:last], moment) for first, last, moment in spans], np.int64)
    rows, before = rows[before > 0], before[before > 0]
    new = np.r_[True, (user[rows][1:] != user[rows][:-1]) | (time[rows][1:] != time[rows][:-1])]
    starts = np.flatnonzero(new)
    return Lists(
        user=user[rows][starts].astype(np.int32),
        history=before[starts].astype(np.int32),
        time=START + time[rows][starts],
        split=split[rows][starts].astype(np.int8),
        offsets=np.r_[starts, len(rows)],
        target=item[rows].astype(np.int32),
    )
