"""What a product is, of the classes that its catalogue has: its category, or what an attribute says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Floats
from triad.tasks.base import Label, Truth

if TYPE_CHECKING:
    from triad.config.tasks import TaskParams

FEWEST = 5
"""Products that a class needs, so that one is left to learn it from."""


class ProductClass(Label):
    """The value of a column of items (category, brand) or of an attribute. A rare one is missing, as none is."""

    name = "product_class"
    kinds = ("multiclass",)
    unit = "products"
    options = ("column",)
    cluster = "kin"
    slices = ()  # its unit says them
    reads = ()
    cases = "products"
    question = "What is the product's {column}, from its title, description and picture?"

    def classes(self, task: TaskParams, values: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        count = Counter(values(str(task.column)))
        return tuple(sorted(name for name, products in count.items() if name and products >= FEWEST))

    def make(self, name: str, tasks: Mapping[str, TaskParams], rows: Any, classes: Sequence[str]) -> Floats:
        place = {each: float(number) for number, each in enumerate(classes)}
        return np.array([place.get(str(each), np.nan) for each in rows[str(tasks[name].column)]], np.float32)

    def truth(self, task: TaskParams, classes: Sequence[str]) -> Truth:
        return Truth("products", ("item_id",), tuple(f"{task.column}={name}" for name in classes))


LABEL = ProductClass()
