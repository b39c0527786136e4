"""The unit `products`: what the shop sells, and what it says of each: texts, attributes, category and brand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.examples.base import A_FOLD, Made, Unit
from triad.products.attributes import Attributes, read
from triad.text.terms import plain
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb

    from triad.examples.dataset import Dataset
    from triad.features.source import Source

COLUMNS = ("title", "description", "category", "brand", "attributes", "image_path")
"""What is said of a product; its price is not among them."""
LARGEST = 8
"""Categories that are slices of their own."""


@dataclass(frozen=True)
class Products:
    """(n,) by catalogue row. "" is what nobody said."""

    product_id: Texts
    item: Ints  # catalogue row
    title: Texts
    description: Texts
    category: Texts  # a path
    brand: Texts
    attributes: Texts  # as JSON (`products.attributes`); what contradicts itself is left out
    facts: Texts  # attributes as the shop wrote them: what is copied into texts keeps its capitals
    image_path: Texts
    kin: Ints  # which title: products that are called alike are not independent
    split: Ints  # the product's fold
    labels: Floats  # (n, n_tasks)


@dataclass(frozen=True)
class Told:
    """What labels are made of: what the tables say of each product."""

    columns: Mapping[str, Sequence[Any]]
    attributes: Sequence[Attributes]

    def __getitem__(self, name: str) -> Sequence[Any]:
        """(n,) values of a column of items, or of an attribute; "" where there is none."""
        if name in self.columns:
            return self.columns[name]
        return [str(each.known.get(plain(name), "")) for each in self.attributes]


class _Unit(Unit):
    name = "products"
    arrays = Products
    key = "product_id"
    always = False
    tables = ()
    is_shared = False  # no network learns them unless `finetune.tasks` names one of theirs
    judged = A_FOLD
    inputs = ()

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        return [str(value) for value in told(session)[column]]

    def slices(self, data: Dataset, rows: Ints) -> list[tuple[str, str, Bools]]:
        """By the first level of the category, and by whether the shop gives a picture, a description, attributes."""
        held: Products = data.units[self.name]
        first = np.array([path.partition("/")[0] for path in held.category[np.asarray(rows)]], object)
        names = sorted(Counter(first.tolist()).items(), key=lambda each: (-each[1], each[0]))
        large = [name for name, _ in names[:LARGEST]]
        parts = [("category", name or "not named", first == name) for name in large]
        if (rest := ~np.isin(first, large)).any():
            parts.append(("category", "all others", rest))
        for group, column in (("picture", "image_path"), ("description", "description"), ("attributes", "attributes")):
            there = ~(getattr(held, column)[np.asarray(rows)] == "")
            parts += [(group, f"with {group}", there), (group, f"without {group}", ~there)]
        return [(group, name, np.asarray(inside, bool)) for group, name, inside in parts]

    def make(self, source: Source) -> Made:
        from triad.features.labels import values_of
        from triad.features.splits import folds

        said = told(source.session)
        ids, windows = said["item_id"], source.state.meta.windows
        # a product has no one day, so that splits are folds of ids; days that are all train leave no other
        split = folds(ids) if windows["test"][0] < windows["test"][1] else np.zeros(len(ids), np.int8)
        texts = {name: Texts.of(said[name]) for name in COLUMNS} | {
            "attributes": Texts.of([each.text for each in said.attributes]),
            "facts": Texts.of(said["attributes"]),
        }
        made = Products(
            product_id=Texts.of(ids),
            item=np.arange(len(ids)),
            kin=texts["title"].codes()[1],
            split=split,
            labels=values_of(self.name, said, len(ids), source.state),
            **texts,
        )
        return Made(made)


def told(session: duckdb.DuckDBPyConnection) -> Told:
    """Of the table `items`, in the order of catalogue rows.

    Raises:
        TriadError: a product's attributes are no object of names and values.
    """
    names = ("item_id", *COLUMNS)
    there = {row[0] for row in session.execute("DESCRIBE items").fetchall()}  # a request may leave out what may be null
    wanted = ", ".join(f"coalesce({name}, '')" if name in there else "''" for name in names)
    rows = session.execute(f"SELECT {wanted}, price_cents FROM items ORDER BY item_id").fetchall()
    columns = dict(zip((*names, "price_cents"), zip(*rows, strict=True), strict=True))
    return Told(columns, attributes_of(columns))


def attributes_of(columns: Mapping[str, Sequence[str]]) -> list[Attributes]:
    """(n,) of products that say `columns`."""
    parts = (columns[name] for name in ("item_id", "attributes", "brand"))
    return [
        read(text, {"brand": brand}, where=f"table items, product {item}, column attributes")
        for item, text, brand in zip(*parts, strict=True)
    ]


UNIT = _Unit()
