"""Products whose class in the catalogue is probably wrong or missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.examples.products import COLUMNS
from triad.statistics.confident import doubtful
from triad.text.terms import plain

if TYPE_CHECKING:
    import pyarrow as pa

    from triad.arrays import Floats
    from triad.config.tasks import Tasks
    from triad.examples.dataset import Dataset

FOLDS = 5


def misfiled_products(data: Dataset, tasks: Tasks, member: Any, asked: list[str]) -> pa.Table:
    """Product, title, task, its class, the class that is meant and its probability; the surest of each task first."""
    import pyarrow as pa

    products, rows = data.units["products"], dict[str, list[Any]]()
    filed = {name: _filed(products, str(tasks[name].column)) for name in asked}
    scores = crossed(data, tasks, member, asked)
    for name in asked:
        labels, classes = np.asarray(data.labels(name), np.float64), data.meta.classes[name]
        is_doubtful, meant = doubtful(labels, scores[name])
        chance = scores[name][np.arange(len(meant)), meant]
        for row in sorted(np.flatnonzero(is_doubtful), key=lambda row: -chance[row]):
            said, should = filed[name][row], classes[meant[row]]
            values = (products.product_id[row], products.title[row], name, said, should, chance[row])
            for column, value in zip(
                ("item_id", "title", "task", "is", "should_be", "probability"), values, strict=True
            ):
                rows.setdefault(column, []).append(value)
    schema = {name: pa.string() for name in ("item_id", "title", "task", "is", "should_be")}
    return pa.table(
        {name: pa.array(rows.get(name, []), kind) for name, kind in (schema | {"probability": pa.float64()}).items()}
    )


def _filed(products: Any, column: str) -> list[str]:
    """(n,) what the catalogue says, also where too few products say it to learn it."""
    if column in COLUMNS:
        return [str(each) for each in getattr(products, column).tolist()]
    return [str(json.loads(text or "{}").get(plain(column), "")) for text in products.attributes.tolist()]


def crossed(data: Dataset, tasks: Tasks, member: Any, asked: list[str]) -> Mapping[str, Floats]:
    """(n, classes) of each task, by models that learned no product of the same title. Nothing is chosen anew."""
    from triad.features.dataset import SPLITS

    products = data.units["products"]
    fold = np.asarray(products.kin) % FOLDS
    scores = {name: np.zeros((len(fold), len(data.meta.classes[name]))) for name in asked}
    wanted = {name: tasks[name] for name in asked}
    for number in range(FOLDS):
        split = np.where(fold == number, SPLITS.index("test"), SPLITS.index("train")).astype(np.int8)
        part = data.replaced(products=replace(products, split=split))
        rows = np.flatnonzero(fold == number)
        fitted = type(member).fit(part, wanted, member.space, member.chosen)
        for name, values in fitted.predict(part, rows, asked).items():
            scores[name][rows] = values
    return scores
