"""What a registered model says a product costs: the price, its interval, the likest products, and what moved it.

A price is never told without its interval. What is said of a product may be little, contradict itself or be in another
language than the shop's: the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset, nobody
from triad.examples.products import COLUMNS, UNIT, Products, attributes_of
from triad.members.protocol import Explaining, RowScorer
from triad.products.attributes import Attributes
from triad.products.space import said as known
from triad.statistics import conformal
from triad.texts import Texts

if TYPE_CHECKING:
    from triad.features.state import State
    from triad.fusion.fused import Fused

COMPARABLES, DRIVERS = 5, 3
MOST = 40.0
"""Log of cents that no price is beyond."""
ALIKE = 0.1
"""Cosine of words below which no known product is like it."""


def priced(state: State, fused: Fused, asked: Mapping[str, Sequence[str]]) -> pa.Table:
    """A row a product: item_id, price_cents, low_cents, high_cents, level, comparables (a text), why, and note.

    Args:
        asked: (n,) texts by column of items, `item_id` among them; "" where nothing is said.

    Raises:
        TriadError: the model was not taught to tell prices, or attributes are no object of names and values.
    """
    said = attributes_of(asked)
    data = _dataset(state, asked, said)
    task, rows = _task(fused, data), np.arange(len(said))
    columns: dict[str, Any] = {"item_id": pa.array(asked["item_id"], pa.string())}
    columns |= _cents_of(fused, data, task)
    columns["level"] = np.full(len(rows), fused.intervals[task]["level"])
    near, moved = _evidence(fused, data, rows, task)
    columns["comparables"] = pa.array(["; ".join(_product(*each) for each in some) for some in near], pa.string())
    columns["why"] = pa.array([_why(each) for each in moved], pa.string())
    empty = [not (each.text or each.codes) for each in known(data.units[UNIT.name], rows)]
    notes = [_note(*each) for each in zip(said, near, empty, strict=True)]
    columns["note"] = pa.array(notes, pa.string())
    return pa.table(columns)


def prices_of(state: State, fused: Fused, asked: Mapping[str, Sequence[str]]) -> dict[str, Ints]:
    """(n,) price_cents, low_cents and high_cents of `priced`, and nothing else.

    Raises:
        TriadError: as `priced`.
    """
    data = _dataset(state, asked, attributes_of(asked))
    return _cents_of(fused, data, _task(fused, data))


def _task(fused: Fused, data: Dataset) -> str:
    task = next((task for task in fused.of_unit(data, UNIT.name) if task in fused.intervals), None)
    if task is None:
        mend = "add a task with the label product_price to params.yaml, and let a night train it"
        raise TriadError("the model tells no prices", where="params.mode", mend=mend)
    return task


def _cents_of(fused: Fused, data: Dataset, task: str) -> dict[str, Ints]:
    rows = np.arange(len(data.units[UNIT.name].item))
    score = np.asarray(fused.predict(data, rows, [task], UNIT.name)[task], np.float64)
    low, high = conformal.bounds(fused.intervals[task], score)
    return {f"{name}_cents": _cents(each) for name, each in (("price", score), ("low", low), ("high", high))}


def _evidence(fused: Fused, data: Dataset, rows: Ints, task: str) -> tuple[list[Any], list[dict[str, float]]]:
    for member in (fused.members[name] for name in fused.evident):
        if isinstance(member, Explaining) and isinstance(member, RowScorer) and task in member.tasks:
            return member.comparables(data, rows, task, COMPARABLES), member.drivers(data, rows, task)
    return [[] for _ in rows], [{} for _ in rows]


def _cents(score: Floats) -> Ints:
    """No price is below zero, as a low bound of a cheap product's log can be, or beyond all whole numbers."""
    return np.rint(np.expm1(np.clip(score, 0, MOST))).astype(np.int64)


def _product(key: str, label: float, cosine: float) -> str:
    return f"{key} at {np.expm1(label) / 100:.2f} ({cosine:.0%} alike)"


def _why(moved: Mapping[str, float]) -> str:
    """The figure of the trees against that of products at large; the fusion may differ a little."""
    told = [
        f"{what} {'raise' if what.endswith(('words', 'like it')) else 'raises'} it by {np.expm1(by):.0%}"
        if by >= 0
        else f"{what} {'lower' if what.endswith(('words', 'like it')) else 'lowers'} it by {-np.expm1(by):.0%}"
        for what, by in list(moved.items())[:DRIVERS]
    ]
    return "; ".join(told)


def _note(said: Attributes, near: Sequence[tuple[str, float, float]], is_empty: bool) -> str | None:
    """What a reader must know of the answer."""
    told = []
    if is_empty:
        told.append("nothing is said of the product: the interval is that of products at large")
    elif not near or near[0][2] < ALIKE:
        told.append("no known product is described like it (another language, or new to the shop)")
    for name, values in said.contradicted.items():
        told.append(f"{name} is said to be {' and '.join(map(str, values))}: neither was read")
    return "; ".join(told) or None


def _dataset(state: State, asked: Mapping[str, Sequence[str]], said: Sequence[Attributes]) -> Dataset:
    count = len(said)
    texts = {name: Texts.of(asked[name]) for name in COLUMNS} | {"attributes": Texts.of([e.text for e in said])}
    texts["facts"] = Texts.of(asked["attributes"])
    labels: Floats = np.full((count, len(state.meta.tasks.get(UNIT.name, ()))), np.nan, np.float32)
    own = Products(
        product_id=Texts.of(asked["item_id"]),
        item=np.full(count, -1),
        kin=np.arange(count),
        split=np.full(count, -1, np.int8),
        labels=labels,
        **texts,
    )
    return nobody(state.meta, {UNIT.name: own})
