"""The form "ratings of several markets": which user took which item, with one vocabulary of items for all markets.

Each market is a `Dataset` of its own: streams and queries, no exposures. Vocabularies grow from market to market in the
form's order, sources first, so that a network pretrained on one is carried on to the next (`markets_joined`).

Ratings hold no times: a user's steps lie a day apart in the order of the file, and every user's last one on the same
day. Of a share `hold` of the users, one step by chance is held out and comes last: for one half of them it is
validation, for the other fusion. The test is such a step of a share `test` of the other users; or, of a market with
`run` and `qrel`, what these ask: candidates to be put in order (`markets_lists`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Ints
from triad.datasets.markets.files import MarketFiles, Names, pairs_of, read_ratings, read_run
from triad.datasets.markets.form import MarketsForm
from triad.datasets.splits import chance
from triad.datasets.streams import DAY, LAST_DAY, items_of, of_streams, purchases, users_of
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS
from triad.features.vocabulary import Vocabulary, grow
from triad.redaction import shown
from triad.texts import Texts

TRAIN, VALIDATION, FUSION, TEST = range(len(SPLITS))


@dataclass(frozen=True)
class _Log:
    """By user; what is held out comes last. Users that only the test asks for have no step."""

    user_id: Texts
    offsets: Ints
    item: Names
    split: Ints


def read(form: MarketsForm, folder: Path) -> dict[str, Dataset]:
    """Market → its examples, in the form's order.

    Raises:
        TriadError: a file or column is missing or unreadable, a market is empty, or a run does not fit its qrel.
    """
    markets: dict[str, Dataset] = {}
    vocabulary = Vocabulary((), form.hash_buckets)
    for name, files in form.markets.items():
        wanted, listed = _test(form, files, folder)
        log = _log(form, files, folder, list(wanted))
        vocabulary = grow(vocabulary, Counter(log.item[log.split == TRAIN].tolist()), form.min_count)
        markets[name] = _dataset(log, vocabulary, Texts.of([*log.item, *listed]).codes()[0], wanted)
    return markets


def _test(form: MarketsForm, files: MarketFiles, folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """User → what the test asks for, and all items it lists."""
    if files.run is None or files.qrel is None:
        return {}, []
    wanted: dict[str, list[str]] = {}
    listed = read_run(folder / files.run)
    for user, item in zip(*(part.tolist() for part in read_ratings(folder / files.qrel, form)), strict=True):
        if item not in listed.get(user, ()):
            raise TriadError(
                f"user {shown(user)}: {item!r} is none of the candidates",
                where=str(folder / files.qrel),
                mend=f"compare it with {files.run}",
            )
        wanted.setdefault(user, []).append(item)
    return wanted, [item for items in listed.values() for item in items]


def _log(form: MarketsForm, files: MarketFiles, folder: Path, tested: list[str]) -> _Log:
    """The ratings by user, with a step of some users held out."""
    name, item = pairs_of(files, form, folder)
    user_id, user = Texts.of([*name, *tested]).codes()
    user, share = user[: len(name)], chance(user_id, form.seed)
    candidates = read_ratings(folder / files.asked, form) if files.asked is not None else (name, item)
    whom, what = (
        Texts.of(each).places(Texts.of(part)) >= 0 for each, part in zip(candidates, (name, item), strict=True)
    )
    # of a user's steps the one whose lot is least, among those that could be candidates
    lot = np.where(what, chance(name + "\t" + item, form.seed), 2.0)
    order = np.lexsort((lot, user))
    first = order[np.r_[True, user[order][1:] != user[order][:-1]]]
    count = np.bincount(user, minlength=len(user_id))
    held = first[(lot[first] < 1) & (count[user[first]] > 2) & whom[first]]
    ends = np.array([files.hold / 2, files.hold, 1 - files.test])
    split = np.full(len(user), TRAIN, np.int8)
    split[held] = np.array([VALIDATION, FUSION, TRAIN, TEST])[np.searchsorted(ends, share[user[held]], side="right")]
    order = np.lexsort((split, user))  # it keeps the file's order
    return _Log(user_id, np.r_[0, np.cumsum(count)].astype(np.int64), item[order], split[order])


def _dataset(log: _Log, vocabulary: Vocabulary, item_id: Texts, wanted: dict[str, list[str]]) -> Dataset:
    length = np.diff(log.offsets)
    user = np.repeat(np.arange(len(length)), length)
    left = log.offsets[1:][user] - 1 - np.arange(len(user))  # steps that follow
    later = np.isin(user, user[log.split == TEST])  # whose last step lies in the test window
    time, item = (LAST_DAY + later - left) * DAY, item_id.places(Texts.of(log.item))
    held = np.flatnonzero(log.split != TRAIN)
    tested = np.flatnonzero(Texts.of(wanted).places(log.user_id) >= 0)
    targets = [item_id.places(Texts.of(wanted[name]).codes()[0]) for name in log.user_id[tested]]
    ends = np.cumsum([1] * len(held) + [len(each) for each in targets])
    middle, last = LAST_DAY * DAY, (LAST_DAY + 1) * DAY
    return of_streams(
        items_of(item_id, vocabulary.look_up(item_id)),
        users_of(log.user_id),
        purchases(log.offsets, item, time, log.split),
        Lists(
            user=np.r_[user[held], tested].astype(np.int32),
            history=np.r_[held - log.offsets[user[held]], length[tested]].astype(np.int32),
            time=np.r_[time[held], np.full(len(tested), last)],
            split=np.r_[log.split[held], np.full(len(tested), TEST, np.int8)],
            offsets=np.r_[0, ends].astype(np.int64),
            target=np.concatenate([item[held], *targets]).astype(np.int32),
        ),
        rows={"item": vocabulary.rows},
        windows={
            "train": (0, middle),
            "validation": (middle, last),
            "fusion": (middle, last),
            "test": (last, last + DAY),
        },
    )
