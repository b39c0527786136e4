"""What a shop asks: texts of its products, each checked, with who wrote it and why not the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from triad.writing.decoding import REQUIRED, candidates
from triad.writing.language import Language
from triad.writing.network import Weights
from triad.writing.product import Product
from triad.writing.template import template
from triad.writing.tokens import keys
from triad.writing.tone import framed

NETWORK, TEMPLATE, NOBODY = "network", "template", "nobody"

BORROWED = {"promotion": "description"}
"""Genre → the one that is written in its place, until people have written enough of it."""

_FEW, _FOREIGN = 4, 0.2  # words in facts to judge a language by; the share known below which it is another


@dataclass(frozen=True)
class Written:
    """A text, by whom it was written, and why by no better one. `text` is empty where nobody wrote."""

    id: str
    genre: str
    text: str
    by: str
    why: str = ""


@dataclass(frozen=True)
class Writer:
    """What was learned of a shop's texts."""

    language: Language
    weights: Weights | None  # None: too few texts to learn from
    vocabulary: frozenset[str]  # words of the catalogue it learned from

    @classmethod
    def of(cls, products: Sequence[Product], language: Language, weights: Weights | None) -> Writer:
        """A writer whose network learned from `products`."""
        return cls(language, weights, frozenset(word for product in products for word in _words(product)))

    def write(self, product: Product, genre: str, tone: str = "plain", length: str = "any") -> Written:
        """A text of one genre. No text is returned that the fact check objects to."""
        refused = self._refusal(product, genre)
        if refused is not None:
            return Written(product.id, genre, "", NOBODY, refused)
        text, why = self._learned(product, genre, length)
        if text is not None:
            return Written(product.id, genre, framed(text, genre, tone), NETWORK)
        text = template(self.language, product, genre)
        if not text or self.language.facts.invented(text, product):
            return Written(product.id, genre, "", NOBODY, "nothing that is known of it can be said")
        return Written(product.id, genre, framed(text, genre, tone), TEMPLATE, why)

    def _learned(self, product: Product, genre: str, length: str) -> tuple[str | None, str]:
        """The network's likeliest text that passes the check, or None and why there is none."""
        known = self.language.genres
        asked = genre if genre in known else BORROWED.get(genre)
        if self.weights is None or asked not in known:
            return None, "the catalogue has too few texts to learn from"
        if "name" in REQUIRED[asked] and not product.name:
            return None, "it has no name of its own, and without one a title guesses"
        if self._is_foreign(product):
            return None, "its attributes are in words that the catalogue does not use"
        why = "the network found nothing to say"
        for text in candidates(self.weights, self.language, product, asked, length):
            if not (inventions := self.language.facts.invented(text, product)):
                return text, ""
            why = f"no attribute says {inventions[0].what} {inventions[0].text!r}"
        return None, why

    def _refusal(self, product: Product, genre: str) -> str | None:
        if product.is_empty:
            return "it has no attributes that a text could say"
        if genre == "promotion" and product.price is not None and product.price <= 0:
            return "it has no price above zero, so there is nothing to promote"
        against = product.contradiction(self.language.facts.colours)
        return f"its attributes contradict one another: {against}" if against else None

    def _is_foreign(self, product: Product) -> bool:
        said = _words(product)
        return len(said) >= _FEW and len(said & self.vocabulary) < _FOREIGN * len(said)


def _words(product: Product) -> set[str]:
    return {
        word
        for key, text in product.said()
        if key != "brand"
        for word in keys(text)
        if len(word) > 2 and word.isalpha()
    }


def counts(written: Iterable[Written]) -> dict[str, dict[str, int]]:
    """Kind → by whom → texts."""
    by_genre: dict[str, Counter[str]] = {}
    for each in written:
        by_genre.setdefault(each.genre, Counter(dict.fromkeys((NETWORK, TEMPLATE, NOBODY), 0)))[each.by] += 1
    return {genre: dict(count) for genre, count in by_genre.items()}
