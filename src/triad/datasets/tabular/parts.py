"""Parts of a table's examples: the catalogue, the context and the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.datasets.columns import Columns
from triad.datasets.tabular.form import LabelColumn, TabularForm
from triad.errors import TriadError
from triad.features.dataset import SPLITS, Items, without_vectors
from triad.features.vocabulary import Vocabulary, grow
from triad.kinds import KINDS
from triad.texts import Texts

HOUR = 3_600_000_000
"""µs"""

MAX_INDICATORS = 64
"""Columns that one column's texts may become."""


def make_items(form: TabularForm, item_id: Texts, seen: Mapping[str, int]) -> tuple[Items, dict[str, int]]:
    """The catalogue, and the rows of its embedding tables: each prefix of a path is a category, a bare name its own."""
    part = form.steps.path_separator
    prefixes = [_prefixes(name, part) for name in item_id]
    category = grow(
        Vocabulary((), 0),
        Counter({each: seen[name] for name, paths in zip(item_id, prefixes, strict=True) for each in paths}),
        1,
    )
    codes = np.zeros((len(item_id), max(map(len, prefixes))), np.int32)
    for row, paths in enumerate(prefixes):
        codes[row, : len(paths)] = category.look_up(paths)
    own = grow(Vocabulary((), form.hash_buckets), seen, form.min_count)
    zeros = np.zeros(len(item_id), np.int32)
    items = Items(
        item_id=item_id,
        vocabulary_row=own.look_up(item_id),
        category=codes,
        brand=zeros,
        tokens=zeros[:, None],
        log_price=zeros.astype(np.float32),
        available_from=zeros.astype(np.int64),
        **without_vectors(len(item_id)),
    )
    return items, {"item": own.rows, "category": category.rows, "brand": 1, "token": 1}


def _prefixes(name: str, part: str | None) -> list[str]:
    pieces = name.split(part) if part else [name]
    return [(part or "").join(pieces[: end + 1]) for end in range(max(len(pieces) - 1, 1))]


def make_context(
    form: TabularForm, table: Columns, start: Ints, steps: Ints, *, train: Bools
) -> tuple[tuple[str, ...], Floats]:
    """What is known of each row: n_context names, and (rows, n_context) numbers, NaN where unknown."""
    context: dict[str, Floats | Ints | Bools] = {}
    for name, scale in form.numeric.items():
        if scale == "indicators":
            context |= _indicators(name, table, train)
            continue
        values = table.numbers(name)
        if scale == "log1p" and (values < 0).any():
            raise TriadError(
                "holds numbers below 0", where=f"{table.where}, column {name}", mend="write `plain`, not `log1p`"
            )
        context[name] = np.log1p(values) if scale == "log1p" else values
    if form.clock:
        hour = start / HOUR % 24
        day = start // (24 * HOUR)
        context |= {"hour": hour, "hour_sin": np.sin(hour * np.pi / 12), "hour_cos": np.cos(hour * np.pi / 12)}
        weekday = (day + 3) % 7  # the epoch began on a Thursday; 0 is Monday
        context |= {"weekday": weekday, "day": day - day[train].min()}
        if form.clock.end:
            seconds = (table.times(form.clock.end, form.clock.epoch) - start) / 1e6
            if (seconds < 0).any():
                row = int(np.flatnonzero(seconds < 0)[0])
                raise TriadError(f"row {row} ends before it starts", where=table.where, mend="correct `clock`")
            context["log_seconds"] = np.log1p(seconds)
    if form.steps.column:
        context["log_steps"] = np.log1p(steps)
    if not context:
        return (), np.zeros((table.rows, 0), np.float32)
    return tuple(context), np.stack(list(context.values()), axis=1).astype(np.float32)


def _indicators(name: str, table: Columns, train: Bools) -> dict[str, Bools]:
    texts = table.texts(name)
    known = sorted(set(texts[train].tolist()) - {""})
    if len(known) > MAX_INDICATORS:
        raise TriadError(
            f"holds {len(known):,} different texts",
            where=f"{table.where}, column {name}",
            mend=f"`indicators` are for {MAX_INDICATORS} at most: make it `categorical`, or the `item`",
        )
    return {f"{name}={each}": texts == each for each in known}


def make_labels(form: TabularForm, table: Columns, split: Ints) -> tuple[Floats, dict[str, tuple[str, ...]]]:
    """(rows, tasks) labels, NaN where empty or of a class that train lacks; and each multiclass task's classes."""
    labels = np.full((table.rows, len(form.labels)), np.nan, np.float32)
    classes: dict[str, tuple[str, ...]] = {}
    for column, (name, label) in enumerate(form.labels.items()):
        kind = KINDS[label.kind]
        if kind.is_event:
            labels[:, column] = _events(table, name, label, split)
        elif kind.is_classification:
            classes[name] = _texts(table, label, split)
            place = {each: float(number) for number, each in enumerate(classes[name])}
            labels[:, column] = [place.get(each, np.nan) for each in table.texts(label.column).tolist()]
        else:
            labels[:, column] = table.numbers(label.column)
        for number, part in enumerate(SPLITS):
            if not np.isfinite(labels[split == number, column]).any():
                where = f"{table.where}, column {label.column}"
                raise TriadError(f"the split {part} has no label", where=where, mend="leave the task out")
    return labels, classes


def _events(table: Columns, name: str, label: LabelColumn, split: Ints) -> Floats:
    """(rows,) 1 where the column says yes, 0 where it says no, NaN where it is empty."""
    where = f"{table.where}, column {label.column}"
    if label.positive is None:
        mend = f"give labels.{name}.positive, the value that means yes"
        values = table.numbers(label.column, mend)
        others = sorted(set(np.unique(values[np.isfinite(values)]).tolist()) - {0.0, 1.0})
        if others:
            raise TriadError(f"holds {others[0]:g}, not 0 or 1", where=where, mend=mend)
        return values
    known = _texts(table, label, split)
    if label.positive not in known:
        what = f"train holds {', '.join(known)}, never {label.positive!r}"
        raise TriadError(what, where=where, mend="correct positive")
    texts = table.texts(label.column)
    return np.where(texts == "", np.nan, texts == label.positive)


def _texts(table: Columns, label: LabelColumn, split: Ints) -> tuple[str, ...]:
    """The texts of the column in train, sorted."""
    return tuple(sorted(set(table.texts(label.column)[split == 0].tolist()) - {""}))
