"""A unit of examples is one file: here products, with a label of theirs. Run `python docs/examples/add_unit.py`.

In a project the two classes are `src/triad/examples/goods.py` and `src/triad/tasks/department.py`.
"""

from dataclasses import dataclass

import numpy as np
from shop import register, shop

from triad.examples import UNITS
from triad.examples.base import Made, Unit
from triad.features.labels import values_of
from triad.features.splits import folds
from triad.tasks import LABELS
from triad.tasks.base import Label
from triad.texts import Texts


@dataclass(frozen=True)
class Products:
    product_id: Texts
    product: np.ndarray  # (n,) each a cluster of its own
    tokens: np.ndarray  # (n, 12) rows of words
    split: np.ndarray  # (n,)
    labels: np.ndarray  # (n, tasks)


class ProductsUnit(Unit):
    name, arrays, key, always, tables = "goods", Products, "product_id", False, ()
    inputs = ("words",)

    def values(self, session, column):
        return [path.split("/")[0] for (path,) in session.execute(f"SELECT {column} FROM items").fetchall()]

    def make(self, source):
        rows = source.session.execute("SELECT item_id, title, category FROM items ORDER BY 1").fetchall()
        ids, titles, paths = zip(*rows, strict=True)
        labels = values_of("goods", [path.split("/")[0] for path in paths], len(ids), source.state)
        return Made(Products(Texts.of(ids), np.arange(len(ids)), source.tokens(titles, 12), folds(ids), labels))


class Department(Label):
    name, question, kinds, unit = "department", "Where does the product belong?", ("multiclass",), "goods"
    options, cluster, slices, reads = (), "product", (), ()

    def classes(self, task, values):
        return tuple(sorted(set(values("category"))))

    def make(self, name, tasks, rows, classes):
        return np.array([classes.index(department) for department in rows], np.float32)


UNIT, LABEL = ProductsUnit(), Department()
TASKS = {"click": {"kind": "binary", "label": "clicked"}, "department": {"kind": "multiclass", "label": "department"}}

if __name__ == "__main__":
    register(__file__, "goods", UNITS, LABELS)
    params, data, state = shop(TASKS, recommend={"order_by": "click"})
    print(f"{len(data.units['goods'].product):,} products, {len(data.meta.classes['department'])} departments.")
