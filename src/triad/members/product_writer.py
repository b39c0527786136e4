"""The member `product_writer`: titles, descriptions and promotion lines from what is known of products (`writing/`).

It learns of train's products, with the texts that people wrote in place of the shop's. It scores nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Ints
from triad.config.members import Recipe
from triad.config.text import WritingParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.examples.products import Products
from triad.members.bench import Bench
from triad.writing import files
from triad.writing.catalogue import asked, edited, lessons, product_of, read_edits
from triad.writing.language import Language
from triad.writing.product import Product
from triad.writing.training import BATCH, rows_of, trained
from triad.writing.writer import Writer

MEMBERS = Recipe("product_writer", "ProductWriter", ("Generator",), reads=("text",), answers="products")
UNIT, GENRE = "products", "description"
EPOCHS = 30
"""Passes over the texts, at most: after these a small catalogue is learned by heart."""
LOG = logging.getLogger("triad.writing")


@dataclass(frozen=True)
class ProductWriter:
    """What was learned of a shop's texts."""

    writer: Writer

    @classmethod
    def make(cls, bench: Bench, name: str) -> ProductWriter:
        """Of train.

        Raises:
            TriadError: no task asks anything of products, so that none were read.
        """
        if UNIT not in bench.data.units:
            mend = "add a task of products, or leave the member out of fuse.members"
            raise TriadError("no task asks anything of products", where=f"member {name}", mend=mend)
        held: Products = bench.data.units[UNIT]
        products = [product for product, _ in known(held, bench.data.rows("train", UNIT))]
        return cls(learned(products, bench.params.text.writing, set(held.product_id.tolist())))

    def refit(self, bench: Bench, name: str) -> ProductWriter:
        """Anew on all days: nothing of it was chosen."""
        return self.make(bench, name)

    def generate(self, data: Dataset, rows: Ints, unit: str) -> list[str]:
        """(n,) a description of each product, "" where nobody writes one.

        Raises:
            TriadError: it is asked of other rows than products.
        """
        if unit != UNIT:
            raise TriadError(
                f"writes of {UNIT} alone, not of {unit}", where="member product_writer", mend="ask another"
            )
        texts = (self.writer.write(asked(product, GENRE), GENRE) for product, _ in known(data.units[unit], rows))
        return [each.text for each in texts]

    def save(self, folder: Path) -> None:
        """JSON and arrays."""
        files.save(self.writer, folder)

    @classmethod
    def load(cls, folder: Path) -> ProductWriter:
        """What `save` wrote."""
        return cls(files.load(folder))


def known(held: Products, rows: Ints) -> list[tuple[Product, str]]:
    """`rows` as products to write of, and which attributes of each contradict, if any do."""
    columns = ("title", "description", "category", "brand")
    parts = {name: getattr(held, name)[np.asarray(rows)].tolist() for name in columns}
    parts |= {
        "item_id": held.product_id[np.asarray(rows)].tolist(),
        "attributes": held.facts[np.asarray(rows)].tolist(),
    }
    told = (dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True))
    return [product_of({**each, "price_cents": None}) for each in told]


def learned(products: Sequence[Product], settings: WritingParams, catalogue: set[str]) -> Writer:
    """What writes as `products` are written of.

    Args:
        catalogue: ids of all products that there are. A text that people wrote of another is left out, and counted.
    """
    own, held = list(products), {product.id for product in products}
    if settings.edits:
        edits = read_edits(Path(settings.edits))
        gone = sum(item not in catalogue for item, *_ in edits)
        if gone:
            LOG.warning("%d of %d edits are of no product of the catalogue", gone, len(edits))
        own = edited(own, [each for each in edits if each[0] in held], settings.edits)
    taught = lessons(own)
    language = Language.of(taught)
    rows = rows_of(taught, language)
    steps = min(settings.steps, EPOCHS * -(-len(rows) // BATCH))
    weights = trained(rows, language, settings.seed, steps=steps) if language.genres and rows else None
    return Writer.of(taught, language, weights)
