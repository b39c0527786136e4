"""In which units a shop writes its numbers, learned from its texts.

A fact says `processor_frequency: 2.66`; texts say `2.66 GHz` or `2660MHz`. A form (key, scale, unit) is kept if texts
of several products have the number, scaled, and the unit after it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from triad.writing.product import Product
from triad.writing.tokens import UNITS, Token, cut, has_digit, key_of

SCALES = (1.0, 1000.0, 0.001, 1024.0, 1 / 1024, 3.2808, 1 / 2.54, 1 / 25.4)
"""What a number is multiplied by: prefixes, metres to feet, centimetres and millimetres to inches."""

_ROUNDED = 0.01  # what two decimals may cost
_PRODUCTS, _RIGHT = 5, 0.5  # texts that have the form; of those that name its unit, the share that mean this number


@dataclass(frozen=True)
class Form:
    """A number times `scale`, with `unit` after it; "" is none."""

    scale: float
    unit: str
    is_spaced: bool

    def tokens(self, value: float) -> tuple[Token, ...]:
        """`value` as texts say it."""
        number = Token(_said(value * self.scale), True)
        return (number, Token(self.unit, self.is_spaced)) if self.unit else (number,)


def learned(products: Iterable[Product]) -> dict[str, tuple[Form, ...]]:
    """Key → its forms, the commonest first. With one unit, a number of the key must be what texts mean by it."""
    hits: Counter[tuple[str, float, str, bool]] = Counter()
    named: Counter[tuple[str, str]] = Counter()  # texts of products with the key that name the unit
    for product in products:
        said: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        for text in product.texts.values():
            tokens = cut(text)
            for at, token in enumerate(tokens):
                if has_digit(token.text):
                    said[token.key].add(following(tokens, at))
        units = {unit.casefold() for amounts in said.values() for unit, _ in amounts if unit}
        for key, value in product.numbers():
            named.update((key, unit) for unit in units)
            for scale in SCALES:
                if value and abs(float(_said(value * scale)) / (value * scale) - 1) < _ROUNDED:
                    hits.update((key, scale, *amounts) for amounts in said.get(key_of(_said(value * scale)), ()))
    forms: dict[str, list[tuple[int, Form]]] = defaultdict(list)
    for (key, scale, unit, is_spaced), times in sorted(hits.items()):
        meant = sum(hits[key, each, unit, spaced] for each in SCALES for spaced in (True, False))
        if times >= _PRODUCTS and unit and meant >= _RIGHT * named[key, unit.casefold()]:
            forms[key].append((times, Form(scale, unit, is_spaced)))
    return {key: tuple(form for _, form in sorted(each, key=lambda one: -one[0])) for key, each in forms.items()}


def following(tokens: Sequence[Token], at: int) -> tuple[str, bool]:
    """The unit after the number at `at`, and whether a blank stands between; "" where none follows."""
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    return (after.text, after.spaced) if after is not None and after.text.casefold() in UNITS else ("", False)


def _said(value: float) -> str:
    return f"{round(value, 2):.10g}"
