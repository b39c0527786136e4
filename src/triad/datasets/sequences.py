"""The form "sequences": each user's items in order, with leave-one-out splits (Kang & McAuley 2018, section IV-A).

A user's last item is the test; the one before decides: of one half of the users it is validation, of the other fusion.
Everything earlier is train. Once all is chosen, members are fitted again on all but the last item (`read_refit`), so
that deciding costs the test no data. Sequences hold no times: steps lie a day apart, and every user's last step on the
same day, so that ages count steps.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from triad.arrays import Ints
from triad.datasets.base import Form, single
from triad.datasets.columns import File, Written, read_columns
from triad.datasets.splits import chance
from triad.datasets.streams import DAY, LAST_DAY, items_of, of_streams, purchases, users_of
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS
from triad.features.vocabulary import Vocabulary, grow
from triad.redaction import shown
from triad.sources.reading import read_text
from triad.texts import Texts

TRAIN, VALIDATION, FUSION, TEST = range(len(SPLITS))


class SequencesForm(Written):
    """Where a log lies, and what its columns are called."""

    form: Literal["sequences"]
    path: str = Field(
        description="CSV, TSV, Parquet, or with columns or delimiter: a row a step; else `user item …` a line"
    )
    user: str = "user"
    item: str = "item"
    order: str | None = Field(
        default="order", description="the column that sorts a user's interactions, a time or a number; null: the file's"
    )
    attributes: str | None = Field(
        default=None, description="JSON {item: [attribute, …]}, or a table, a row an item and attribute"
    )
    attribute: str = Field(default="attribute", description="the column of the attributes' table, beside `item`")
    hash_buckets: int = Field(default=64, ge=1, description="embedding rows shared by items that train does not hold")
    watch: float = Field(
        default=0.05, gt=0, lt=1, description="share of users whose step still stops training when fitted again"
    )
    seed: int = Field(default=1, ge=0, description="deals users to validation and fusion")

    def read_from(self, folder: Path) -> list[Path]:
        """All files that `read` reads."""
        return [folder / path for path in (self.path, self.attributes) if path is not None]


@dataclass(frozen=True)
class Log:
    """Users' items in order; those of user u lie in [offsets[u], offsets[u + 1])."""

    user_id: Texts  # (n_users,)
    offsets: Ints  # (n_users + 1,)
    item: NDArray[np.object_]  # (n,)
    attributes: dict[str, list[str]]  # item → its attributes


def read(form: SequencesForm, folder: Path) -> Dataset:
    """The log under `folder` for choosing: fitted on train, decided on validation and fusion.

    Raises:
        TriadError: a file or column is missing, empty or unreadable, or no user has two items.
    """
    return examples(read_log(form, folder), form)


def read_refit(form: SequencesForm, folder: Path) -> Dataset:
    """The same log for fitting again what was chosen: train holds all but the last items.

    Of a share `watch` of users the item before the last stays validation: something must tell when to stop training.

    Raises:
        TriadError: as `read`.
    """
    return examples(read_log(form, folder), form, refit=True)


def read_log(form: SequencesForm, folder: Path) -> Log:
    """The log as it stands in its files.

    Raises:
        TriadError: as `read`.
    """
    path = folder / form.path
    user, item = _in_order(path, form) if form.columns or form.delimiter or _is_table(path) else _lines(path)
    if not len(user):
        raise TriadError("holds no interaction", where=str(path), mend="name a file with a user's items in order")
    user_id, row = Texts.of(user).codes()
    count, by_user = np.bincount(row), np.argsort(row, kind="stable")
    if count.max() < 2:
        raise TriadError("no user has two items", where=str(path), mend="the last is the test: give longer sequences")
    if count.max() > LAST_DAY:
        longest = f"{shown(user_id[int(count.argmax())])} has {count.max()} items"
        raise TriadError(f"user {longest}", where=str(path), mend=f"cut sequences to {LAST_DAY} items")
    attributes = {} if form.attributes is None else _attributes(folder / form.attributes, form)
    return Log(user_id, np.r_[0, np.cumsum(count)].astype(np.int64), item[by_user], attributes)


def examples(log: Log, form: SequencesForm, *, refit: bool = False) -> Dataset:
    """Streams and queries of `log`; no exposures."""
    item_id, item = Texts.of(log.item).codes()
    length = np.diff(log.offsets)
    user = np.repeat(np.arange(len(length)), length)
    left = log.offsets[1:][user] - 1 - np.arange(len(item))  # steps that follow
    share = chance(log.user_id, form.seed)
    middle = np.where(share < form.watch, VALIDATION, TRAIN) if refit else np.where(share < 0.5, VALIDATION, FUSION)
    split = np.full(len(item), TRAIN)
    decides = (left == 1) & (length[user] > 2)
    split[decides] = middle[user[decides]]
    split[(left == 0) & (length[user] > 1)] = TEST
    time = (LAST_DAY - left) * DAY
    held = np.flatnonzero(split != TRAIN)
    vocabulary = grow(Vocabulary((), form.hash_buckets), Counter(item_id[item[split == TRAIN]].tolist()), 1)
    named = [log.attributes.get(each, []) for each in item_id]
    tokens = grow(Vocabulary((), 0), Counter(name for names in named for name in names), 1)
    middle_day, last_day = (LAST_DAY - 1) * DAY, LAST_DAY * DAY
    return of_streams(
        items_of(item_id, vocabulary.look_up(item_id), _padded([tokens.look_up(names) for names in named])),
        users_of(log.user_id),
        purchases(log.offsets, item, time, split),
        Lists(
            user=user[held].astype(np.int32),
            history=(held - log.offsets[user[held]]).astype(np.int32),
            time=time[held],
            split=split[held].astype(np.int8),
            offsets=np.arange(len(held) + 1),
            target=item[held].astype(np.int32),
        ),
        rows={"item": vocabulary.rows, "token": tokens.rows},
        windows={
            "train": (0, last_day if refit else middle_day),
            "validation": (middle_day, last_day),
            "fusion": (middle_day, last_day),
            "test": (last_day, last_day + DAY),
        },
    )


def _is_table(path: Path) -> bool:
    return not {".csv", ".tsv", ".parquet"}.isdisjoint(path.suffixes)


def _lines(path: Path) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """(n,) users and items of a file with `user item item …` a line."""
    lines = [line.split() for line in read_text(path, "data.path").splitlines()]
    lines = [line for line in lines if line]
    users = [line[0] for line in lines]
    if twice := [user for user, count in Counter(users).items() if count > 1]:
        raise TriadError(
            f"user {shown(twice[0])} has more than one line",
            where=str(path),
            mend="write all of a user's items on one line, or, of a table, name its data.columns",
        )
    user = np.repeat(np.array(users, object), [len(line) - 1 for line in lines])
    return user, np.array([item for line in lines for item in line[1:]], object)


def _in_order(path: Path, form: SequencesForm) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """(n,) users and items of a table, sorted by its order; rows of equal order keep that of the file."""
    names = [name for name in (form.user, form.item, form.order) if name is not None]
    table = read_columns([form.file(path)], names, path.parent)
    order = np.arange(table.rows) if form.order is None else table.order(form.order)
    return table.ids(form.user)[order], table.ids(form.item)[order]


def _attributes(path: Path, form: SequencesForm) -> dict[str, list[str]]:
    """Item → its attributes."""
    attributes: dict[str, list[str]] = {}
    if _is_table(path):
        table = read_columns([File(path=path.name)], [form.item, form.attribute], path.parent)
        for item, name in zip(table.ids(form.item).tolist(), table.ids(form.attribute).tolist(), strict=True):
            attributes.setdefault(item, []).append(name)
        return attributes
    mend = "give JSON of the shape {item: [attribute, …]}, or a table"
    try:
        raw = json.loads(read_text(path, "data.path"))
    except json.JSONDecodeError as error:
        what = f"not readable as JSON: {error.msg}, line {error.lineno}"
        raise TriadError(what, where=str(path), mend=mend) from None
    if not isinstance(raw, dict) or not all(isinstance(names, list) for names in raw.values()):
        raise TriadError("is no mapping of items to lists", where=str(path), mend=mend)
    return {item: [str(name) for name in names] for item, names in raw.items()}


def _padded(rows: list[Ints]) -> Ints:
    """(n, widest) with zeros at the end; at least one column."""
    padded = np.zeros((len(rows), max([1, *map(len, rows)])), np.int32)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded


FORM = Form(name="sequences", keys=SequencesForm, read_from=SequencesForm.read_from, read=single(read))
