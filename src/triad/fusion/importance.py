"""What the scores of events rest on over all customers, and how they go with price and with time away.

A group of inputs matters as much as scores move when a row's are exchanged for another row's (permutation importance,
Breiman 2001, of the score and not of an error: so few hundred rows are enough, and no label is needed). Partial
dependence (Friedman 2001) is the mean score where one input is the same for all rows. Both ask the fusion as it serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.kinds import KINDS

ROWS, SEED = 256, 0
HISTORY, ITEM = "what the customer did before, step by step", "what the item is"
GROUPS = {
    "where it is shown": ("position", "surface_", "place_rate", "expected_"),
    "its price and promotion": ("price", "is_promoted", "promoted_days"),
    "how it and its like sold lately": ("item_", "category_", "brand_", "match_"),
    "how it fits the customer": ("user_item_", "user_category_", "user_brand_", "query_"),
    "what prices the customer takes": tuple(
        f"user_{deed}_{taste}_"
        for deed in ("click", "cart", "purchase")
        for taste in ("relative", "discount", "promoted")
    ),
    "how active the customer is": ("user_", "hours_since_last"),
    "the hour and the weekday": ("hour_", "weekday_"),
}
"""Words → beginnings of columns of the context; a column is of the group of its longest."""
PRICES = (0.8, 0.9, 1.0, 1.1, 1.25)
AWAY = "hours_since_last"
HOURS = {"1 hour": 1, "1 day": 24, "1 week": 168, "1 month": 720}
MOVED = ("price", "price_to_mean", "price_to_long_mean", "price_to_category", "price_to_usual")
"""Columns that hold the log of the price, over something or as it is."""


def importance(fused: Fused, data: Dataset, rows: Ints) -> dict[str, dict[str, dict[str, float]]]:
    """Task → `rests_on`, group → mean change of the score as a share of the mean score; `by_price`, times the price →
    mean score; `by_time_away` → mean score. Of tasks of events, over at most `ROWS` of `rows`."""
    tasks = [task for task in fused.of_unit(data, "exposures") if KINDS[fused.kinds[task]].is_event]
    few = np.sort(np.random.default_rng(SEED).permutation(rows)[:ROWS])
    if not tasks or not len(few):
        return {}
    plain = _taken(data, few)
    cases = {("rests_on", name): part for name, part in _exchanged(plain).items()}
    cases |= {("by_price", f"{100 * times:.0f} %"): _priced(plain, times) for times in PRICES}
    if AWAY in plain.meta.context:
        cases |= {("by_time_away", said): _set(plain, AWAY, float(np.log1p(hours))) for said, hours in HOURS.items()}
    told: dict[str, dict[str, dict[str, float]]] = {task: {} for task in tasks}
    whole = fused.predict(plain, np.arange(len(few)), tasks)
    for (what, name), part in cases.items():
        scores = fused.predict(part, np.arange(len(few)), tasks)
        for task in tasks:
            moved = np.abs(scores[task] - whole[task]) if what == "rests_on" else scores[task]
            usual = float(whole[task].mean()) if what == "rests_on" else 1.0
            told[task].setdefault(what, {})[name] = float(moved.mean()) / max(usual, 1e-12)
    for each in told.values():
        each["rests_on"] = dict(sorted(each["rests_on"].items(), key=lambda part: -part[1]))
    return told


def rows_of(told: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """As a table."""
    return [
        {"task": task, "figure": what, "of": name, "value": value}
        for task, parts in told.items()
        for what, values in parts.items()
        for name, value in values.items()
    ]


def _taken(data: Dataset, rows: Ints) -> Dataset:
    held = data.exposures
    parts = {name: getattr(held, name)[rows] for name in held.__dataclass_fields__}
    return data.replaced(exposures=replace(held, **parts))


def _exchanged(data: Dataset) -> dict[str, Dataset]:
    """For each group the data in which it is another row's."""
    held, names = data.exposures, data.meta.context
    other = np.random.default_rng(SEED + 1).permutation(len(held.user))
    exchanged = {}
    for group in GROUPS:
        columns = [at for at, name in enumerate(names) if _group(name) == group]
        if columns:
            context = np.array(held.context)
            context[:, columns] = context[other][:, columns]
            exchanged[group] = data.replaced(exposures=replace(held, context=context))
    exchanged[ITEM] = data.replaced(exposures=replace(held, item=held.item[other]))
    if len(data.streams.item):
        exchanged[HISTORY] = data.replaced(exposures=replace(held, user=held.user[other], history=held.history[other]))
    return exchanged


def _group(column: str) -> str:
    starts = [(len(start), group) for group, each in GROUPS.items() for start in each if column.startswith(start)]
    return max(starts)[1] if starts else ""


def _priced(data: Dataset, times: float) -> Dataset:
    context = np.array(data.exposures.context)
    context[:, [at for at, name in enumerate(data.meta.context) if name in MOVED]] += np.log(times)
    return data.replaced(exposures=replace(data.exposures, context=context))


def _set(data: Dataset, column: str, value: float) -> Dataset:
    context = np.array(data.exposures.context)
    context[:, data.meta.context.index(column)] = value
    return data.replaced(exposures=replace(data.exposures, context=context))
