"""The form "tabular": a row is a user, a visit or an offer; columns name the user, the offer, context and labels.

| the form's key | becomes |
|---|---|
| `categorical` | attributes of the user |
| `numeric`, `clock` | context of the exposure: the row itself |
| `item` (a treatment, an arm) | the exposure's item; without it there is but one |
| `steps.column` (a cell holds a list) | the user's stream: a row's own steps precede its exposure |
| `steps.label` | the user's stream: a row's item, if the label is true, follows its exposure |
| `labels` | pointwise tasks (`tasks`) |

A row is a user of its own, unless `user` names them, or `user_restarts` finds them in the order of the file. An
exposure reads the steps of its own row and of its user's earlier ones, and no later one's; what follows an exposure,
only rows of a later time read.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triad.arrays import Bools, Floats, Ints
from triad.config.tasks import TaskParams
from triad.datasets.columns import Columns, read_columns
from triad.datasets.splits import Rows, deal
from triad.datasets.tabular.form import TabularForm
from triad.datasets.tabular.parts import HOUR, make_context, make_items, make_labels
from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS, Meta, Streams, Users
from triad.features.vocabulary import Vocabulary, grow
from triad.schema import EVENT_KINDS
from triad.tasks.column import LABEL as COLUMN
from triad.texts import Texts

log = logging.getLogger("triad.datasets")

KIND = EVENT_KINDS.index("click")
NOTHING = "-"
"""The item of rows that offer none."""


def tasks(form: TabularForm) -> dict[str, TaskParams]:
    """The tasks that the labels of `form` make."""
    return {
        name: TaskParams(kind=label.kind, label=COLUMN.name, column=label.column, given=label.given)
        for name, label in form.labels.items()
    }


@dataclass(frozen=True)
class _Paths:
    """Steps of all rows, one after the other, as catalogue rows."""

    item_id: Texts  # the catalogue, sorted
    step: Ints  # (steps,)
    count: Ints  # (rows,)
    offered: Ints  # (rows,)


def read(form: TabularForm, folder: Path) -> Dataset:
    """The examples in the files under `folder`.

    Raises:
        TriadError: a file or column is missing or unreadable, a value is not what its column should hold, or a split
            or label is empty.
    """
    table = read_columns(form.files, form.columns, folder)
    start = table.times(form.clock.start, form.clock.epoch) if form.clock else np.arange(table.rows) * HOUR
    who = _who(form, table)
    split = deal(form.split, Rows(table, who, start))
    first = {name: place for place, name in reversed(list(enumerate(who.tolist())))}  # users in order of appearance
    order = np.lexsort((start, np.array([first[name] for name in who.tolist()])))
    fresh = np.r_[True, who[order][1:] != who[order][:-1]]
    user = (np.cumsum(fresh) - 1).astype(np.int32)
    labels, classes = make_labels(form, table, split)
    paths, train = _paths(form, table, order, _taken(form, labels, split)[order]), split[order] == 0
    begin = _apart(start[order], paths.count, user)
    known, context = make_context(form, table, start, np.bincount(order, paths.count).astype(int), train=split == 0)
    codes, sizes = _attributes(form, table, order, fresh, train)
    own = np.repeat(train, paths.count)
    seen = Counter(paths.item_id[paths.offered[train]].tolist())
    if form.steps.column:
        seen += Counter(paths.item_id[paths.step[own]].tolist())
    items, rows = make_items(form, paths.item_id, seen)
    ended = np.cumsum(paths.count)  # steps of all rows up to and with this one
    before = ended - paths.count
    offsets = np.r_[before[fresh], ended[-1]]
    at = np.arange(len(own)) - np.repeat(before, paths.count)
    at_once = _first_at_once(start[order], user)
    follows = form.steps.label is not None
    time, reads = (begin[at_once], before[at_once]) if follows else (begin + paths.count, ended)
    none = np.zeros(0, np.int32)
    mean, std = _scales(context[split == 0])
    return Dataset(
        items=items,
        users=Users(
            user_id=Texts.of(who[order][fresh]),
            attributes=codes,
            signed_up_at=begin[fresh],
            fold=split[order][fresh],
        ),
        streams=Streams(
            offsets=offsets,
            item=paths.step,
            kind=np.full(len(paths.step), KIND, np.int8),
            time=np.repeat(begin, paths.count) + at + follows,
            split=np.repeat(np.maximum(split[order], 0), paths.count),
        ),
        units={
            "exposures": Exposures(
                event_id=Texts.of((table.texts(form.id) if form.id else np.arange(table.rows).astype(str))[order]),
                user=user,
                item=paths.offered,
                time=time,
                split=split[order],
                history=(reads - offsets[user]).astype(np.int32),
                context=context[order],
                labels=labels[order],
                is_new_user=fresh,
                is_cold_item=np.array([seen[name] < form.min_count for name in paths.item_id])[paths.offered],
            ),
            "lists": Lists(none, none, none.astype(np.int64), none, np.zeros(1, np.int64), none),
        },
        meta=Meta(
            tasks={"exposures": tuple(form.labels)},
            classes=classes,
            context=known,
            context_mean=mean,
            context_std=std,
            vocabulary_rows=rows | sizes,
            target_kind=KIND,
            windows={name: (int(begin.min()), int(begin.max()) + HOUR) for name in SPLITS},
            negatives_sampled=False,
            oov_rate=0.0,
        ),
    )


def _who(form: TabularForm, table: Columns) -> NDArray[np.object_]:
    """(rows,) each row's user."""
    if form.user:
        return table.ids(form.user)
    if form.user_restarts:
        time = table.times(form.user_restarts, form.clock.epoch if form.clock else None)
        return np.r_[0, np.cumsum(np.diff(time) < 0)].astype(str).astype(object)
    return np.arange(table.rows).astype(str).astype(object)


def _attributes(
    form: TabularForm, table: Columns, order: Ints, first: Bools, train: Bools
) -> tuple[Ints, dict[str, int]]:
    """(users, attributes) codes of each user's `first` row, and their vocabularies' sizes, which `train` fills.

    Says where a column is no attribute: a user has but one value.
    """
    codes, sizes = np.zeros((int(first.sum()), len(form.categorical)), np.int32), {}
    for column, name in enumerate(form.categorical):
        values = table.texts(name)[order]
        vocabulary = grow(Vocabulary((), 0), Counter(values[train].tolist()), 1)
        codes[:, column], sizes[name] = vocabulary.look_up(values[first]), vocabulary.rows
        changes = (values[1:] != values[:-1]) & ~first[1:]
        if changes.any():
            log.warning(
                "%s, column %s: changes within %s users, whose first row counts (else say numeric: {%s: indicators})",
                table.where,
                name,
                f"{len(np.unique(np.cumsum(first)[1:][changes])):,}",
                name,
            )
    return codes, sizes


def _scales(context: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each column, NaN left out; 0 and 1 where that says nothing."""
    known = np.isfinite(context)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, context, 0).sum(axis=0, dtype=np.float64) / count
    std = np.sqrt((np.where(known, context - mean, 0) ** 2).sum(axis=0) / count)
    return tuple(mean.tolist()), tuple(np.where(std > 1e-5, std, 1.0).tolist())


def _taken(form: TabularForm, labels: Floats, split: Ints) -> Bools:
    """(rows,) whether a row's item is a step of its user. Of rows that are left out nothing is known."""
    if form.steps.label is None:
        return np.zeros(len(labels), bool)
    is_true: Bools = (labels[:, list(form.labels).index(form.steps.label)] == 1) & (split >= 0)
    return is_true


def _paths(form: TabularForm, table: Columns, order: Ints, taken: Bools) -> _Paths:
    offered = table.texts(form.item)[order] if form.item else np.full(table.rows, NOTHING, object)
    if not form.steps.column:
        steps = [[item] if step else [] for item, step in zip(offered.tolist(), taken.tolist(), strict=True)]
    else:
        part, path = form.steps.separator, form.steps.path_separator
        cells = table.texts(form.steps.column)[order].tolist()
        steps = [[step.strip().strip(path or "") for step in cell.split(part)] for cell in cells]
        steps = [[step for step in own if step] for own in steps]
    count = np.array([len(own) for own in steps])
    item_id, place = Texts.of([*(step for own in steps for step in own), *offered.tolist()]).codes()
    own, others = np.split(place.astype(np.int32), [count.sum()])
    return _Paths(item_id, own, count, others)


def _first_at_once(start: Ints, user: Ints) -> Ints:
    """(rows,) the first of the rows of the same user and time: what is shown at once tells nothing of one another."""
    same = np.r_[False, (user[1:] == user[:-1]) & (start[1:] == start[:-1])]
    first: Ints = np.maximum.accumulate(np.where(same, 0, np.arange(len(user))))
    return first


def _apart(start: Ints, count: Ints, user: Ints) -> Ints:
    """(rows,) µs at which a row's first step happens: its start, or right after its user's row before, if later."""
    begin = start.copy()
    again = np.flatnonzero(user[1:] == user[:-1]) + 1
    while len(late := again[begin[again] <= begin[again - 1] + count[again - 1]]):
        begin[late] = begin[late - 1] + count[late - 1] + 1
    return begin
