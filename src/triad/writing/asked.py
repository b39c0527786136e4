"""Texts of products as a request asks for them: of each genre, with who wrote it, and marked as machine-made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from triad.writing.catalogue import asked
from triad.writing.product import GENRES, Product
from triad.writing.writer import NOBODY, Writer, Written


def written(writer: Writer, products: Iterable[tuple[Product, str]], tone: str, length: str) -> list[Written]:
    """Each genre's text of each product.

    Args:
        products: as `catalogue.product_of` reads them. One whose attributes contradict one another has no text.
    """
    return [
        Written(product.id, genre, "", NOBODY, f"its attributes contradict one another: {against}")
        if against
        else writer.write(asked(product, genre), genre, tone, length)
        for product, against in products
        for genre in GENRES
    ]


def rows(texts: Sequence[Written]) -> list[dict[str, Any]]:
    """As tables and answers hold them."""
    return [
        {
            "item_id": text.id,
            "genre": text.genre,
            "text": text.text or None,
            "written_by": text.by,
            "why": text.why,
            "machine_made": True,
        }
        for text in texts
    ]
