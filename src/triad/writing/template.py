"""The plain rival and the fallback: a text from a product's facts in a fixed order, copied and nothing else."""

from __future__ import annotations

from triad.writing.language import Language
from triad.writing.product import Product
from triad.writing.tokens import joined

MOST_FACTS = 3


def template(language: Language, product: Product, genre: str, most: int = MOST_FACTS) -> str:
    """Name and what the shop's texts say most; a title starts with the brand."""
    facts: list[str] = []
    said, numbers = dict(product.said()), dict(product.numbers())
    for key in language.known:
        if key in numbers and (forms := language.facts.forms.get(key)):
            facts.append(joined(forms[0].tokens(numbers[key])))
        elif key in said and key not in numbers and len(said[key]) <= 40:
            facts.append(said[key])
        if len(facts) >= most:
            break
    named = [part for part in ((product.brand, product.name) if genre == "title" else (product.name,)) if part]
    head = " ".join(named) or product.brand
    return ", ".join(part for part in (head, *dict.fromkeys(facts)) if part)
