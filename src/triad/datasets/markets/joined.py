"""Joins markets: carries a network of one market over to another, and merges all into one dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from triad.arrays import Ints
from triad.datasets.base import ROWS, SOURCE
from triad.datasets.markets.form import MarketsForm
from triad.datasets.streams import items_of, users_of
from triad.errors import TriadError
from triad.examples import dataset
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS, Streams
from triad.features.vocabulary import Vocabulary
from triad.texts import Texts, joined


def initial_rows(form: MarketsForm, target: Dataset, source: Dataset) -> dict[str, Ints]:
    """For each row of the target's tables the row of the source's that it starts from: its own, or the shared one.

    Raises:
        TriadError: the source comes after the target in the form.
    """
    known, rows = (data.meta.vocabulary_rows["item"] for data in (source, target))
    if known > rows:
        raise TriadError("comes after its target", where="data.markets", mend="name sources before targets")
    names = np.full(rows, "", object)
    names[target.items.vocabulary_row] = target.items.item_id
    item = np.arange(rows)
    item[known:] = Vocabulary((), form.hash_buckets).look_up(names[known:].tolist())
    return {name: item if name == "item" else np.arange(count) for name, count in target.meta.vocabulary_rows.items()}


def save_source(
    form: MarketsForm, markets: Mapping[str, Dataset], target: str, started_from: Collection[str], folder: Path
) -> None:
    """The markets before `target` as one, if it starts from them, and the rows that the target's start from."""
    if not started_from:
        return
    names = form.sources(target)
    source = together({name: markets[name] for name in names}, names[-1], hold_all=True)
    dataset.save(source, folder / SOURCE)
    np.savez(folder / SOURCE / ROWS, **initial_rows(form, markets[target], source))  # type: ignore[arg-type]


def together(markets: Mapping[str, Dataset], target: str, *, hold_all: bool = False) -> Dataset:
    """One dataset of all users and items, the target's first and in their order; queries are the target's alone.

    Users of other markets are named `market/user`. The steps that those markets hold out are train here, unless
    `hold_all`: a network that is to learn all markets alike also stops by all of them.
    """
    own = markets[target]
    ordered = {target: own, **{name: data for name, data in markets.items() if name != target}}
    item_id = Texts.of(dict.fromkeys(each for data in ordered.values() for each in data.items.item_id))
    last = max(markets.values(), key=lambda data: data.meta.vocabulary_rows["item"])
    row_of = np.zeros(len(item_id), np.int64)
    parts, length, users = [], [], []
    for name, data in ordered.items():
        rows = item_id.places(data.items.item_id)
        # a market that came early knows the late items by shared rows only
        row_of[rows] = np.maximum(row_of[rows], data.items.vocabulary_row)
        streams = data.streams
        kept = hold_all or data is own
        split = streams.split if kept else np.full_like(streams.split, SPLITS.index("train"))
        parts.append((rows[streams.item], streams.kind, streams.time, split))
        length.append(np.diff(streams.offsets))
        users.append(data.users.user_id if data is own else Texts.of(f"{name}/{each}" for each in data.users.user_id))
    item, kind, time, split = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return replace(
        own,
        items=items_of(item_id, row_of),
        users=users_of(joined(users)),
        streams=Streams(
            offsets=np.r_[0, np.cumsum(np.concatenate(length))],
            item=item.astype(np.int32),
            kind=kind,
            time=time,
            split=split,
        ),
        meta=replace(own.meta, vocabulary_rows=last.meta.vocabulary_rows),
    )
