"""A shop's catalogue as products to learn from and to write of: its items and a merchant's edits."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from triad.errors import TriadError
from triad.products.attributes import is_number, listed, read
from triad.sources.plain import pieces
from triad.writing.product import GENRES, Product, Value

EDITS = ("item_id", "genre", "text")
"""The columns of a merchant's file (CSV, UTF-8, with a header)."""


def read_edits(path: Path) -> list[tuple[str, ...]]:
    """The rows of a merchant's file.

    Raises:
        TriadError: it is missing, no UTF-8, lacks a column, or a row has more or fewer cells than the header.
    """
    mend = f"write CSV in UTF-8 with the columns {', '.join(EDITS)}; a text with commas stands in quotes"
    columns = (part.select(EDITS).columns for part in pieces(path, mend, EDITS))
    return [tuple(str(cell).strip() for cell in row) for part in columns for row in zip(*part, strict=True)]


def product_of(item: Mapping[str, Any]) -> tuple[Product, str]:
    """A row of the table `items` as a product with its shop's texts, and which of its attributes contradict, if any do.

    Its name is its attribute `name`. Where it has none, its title is its name in all texts but titles.

    Raises:
        TriadError: its attributes are no object of names and values.
    """
    where = f"table items, product {item['item_id']}, column attributes"
    attributes = item.get("attributes") or ""
    said = read(attributes, {"brand": item["brand"] or ""}, where=where)
    facts = _facts(attributes)
    if item["category"]:
        facts.setdefault("category", str(item["category"]).rpartition("/")[2])
    name, brand = _taken(facts, "name"), item["brand"] or _taken(facts, "brand")
    texts = {genre: str(item[genre]) for genre in ("title", "description") if item[genre]}
    price = None if item["price_cents"] is None else item["price_cents"] / 100
    against = "; ".join(
        f"{key} is {' and '.join(repr(value) for value in values)}" for key, values in said.contradicted.items()
    )
    return Product(str(item["item_id"]), name, str(brand), facts, texts, price), against


def _facts(attributes: str) -> dict[str, Value]:
    """What is said, as the shop wrote it: on one line, and without what says nothing."""
    told: dict[str, Value] = {}
    for key, value in json.loads(attributes.strip() or "{}", object_pairs_hook=list):
        said = listed(value) if isinstance(value, list) else value
        said = _line(said) if isinstance(said, str) else said
        if isinstance(said, str | bool) or (said is not None and is_number(said)):
            told[str(key)] = said
    return told


def _line(text: str) -> str:
    """Control characters, and those that turn the direction of what follows, are blanks."""
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _taken(facts: dict[str, Value], name: str) -> str:
    """The fact called so, in whatever case, which is no other fact then; a yes or no names nothing."""
    taken = [facts.pop(key) for key in [*facts] if key.casefold() == name]
    return next((str(value) for value in taken if not isinstance(value, bool)), "")


def edited(products: list[Product], rows: Iterable[tuple[str, ...]], where: str) -> list[Product]:
    """`products` with a merchant's texts in place of the shop's.

    Raises:
        TriadError: an edit is of no product or of no genre of text, or another one says otherwise.
    """
    edits: dict[str, dict[str, str]] = defaultdict(dict)
    known = {product.id for product in products}
    for number, (item, genre, text) in enumerate(rows, 1):
        if item not in known or genre not in GENRES or not text:
            what = f"no product {item!r}" if item not in known else f"no genre {genre!r}" if text else "no text"
            raise TriadError(f"row {number}: {what}", where=where, mend=f"give an item_id, one of {GENRES}, and a text")
        if edits[item].get(genre, text) != text:
            raise TriadError(
                f"row {number}: a second {genre} of product {item!r}", where=where, mend="keep one of them"
            )
        edits[item][genre] = text
    return [replace(product, texts={**product.texts, **edits.get(product.id, {})}) for product in products]


def asked(product: Product, genre: str) -> Product:
    """`product` as a text of `genre` is written from it."""
    if product.name or genre == "title":
        return product
    return replace(product, name=product.texts.get("title", ""))


def lessons(products: Iterable[Product]) -> list[Product]:
    """What is learned from: each text with the product as it is written from."""
    return [
        replace(asked(product, genre), texts={genre: text})
        for product in products
        for genre, text in product.texts.items()
    ]
