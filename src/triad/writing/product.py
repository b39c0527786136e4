"""What is known of a product, and what its shop has written of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from triad.writing.tokens import keys

Value = str | float | bool
GENRES = ("title", "description", "promotion")
"""The texts that are written."""

_PREFIX = re.compile(r"^attr_[a-z]_")
_ALSO = {"gray": "grey", "golden": "gold"}
_COLOUR, _MATERIAL = re.compile(r"(colou?rs?|farben?|couleurs?)$"), re.compile(r"materials?$")


@dataclass(frozen=True)
class Product:
    """A product's facts. `texts` are those its shop wrote, by genre; they are learned from and never read in writing.
    No text says `price`."""

    id: str
    name: str = ""
    brand: str = ""
    facts: Mapping[str, Value] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None

    def said(self) -> Iterator[tuple[str, str]]:
        """Key and text of every fact that is a text; a name's key is `name`, a brand's `brand`."""
        for key, value in (("name", self.name), ("brand", self.brand), *self.facts.items()):
            if isinstance(value, str) and value.strip():
                yield key, value

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Key and value of every fact that is a number, also where it is written as a text."""
        for key, value in self.facts.items():
            with suppress(ValueError, OverflowError):
                if not isinstance(value, bool) and math.isfinite(number := float(value)):
                    yield key, number

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known that a text could say."""
        return not any(True for _ in self.said()) and not any(True for _ in self.numbers())

    def contradiction(self, colours: frozenset[str]) -> str | None:
        """Two facts that cannot both be true, in words: a measure given twice, or a name in another colour."""
        seen: dict[str, tuple[str, Value]] = {}
        for key, value in self.facts.items():
            plain = _PREFIX.sub("", key).casefold()
            if plain in seen and not _same(seen[plain][1], value):
                return f"{seen[plain][0]} says {seen[plain][1]!r}, {key} says {value!r}"
            seen[plain] = key, value
        own = {_ALSO.get(word, word) for key, text in self.said() if is_colour(key) for word in keys(text)} & colours
        named = {_ALSO.get(word, word) for word in keys(self.name)} & colours
        if own and named and not own & named:
            return f"the name says {', '.join(sorted(named))}, its colour is {', '.join(sorted(own))}"
        return None


def _same(one: Value, other: Value) -> bool:
    """A number says how much, a yes or no whether there is any: 4 ports and "has ports" are one fact."""
    if isinstance(one, bool) != isinstance(other, bool) and not isinstance(one, str) and not isinstance(other, str):
        return bool(one) == bool(other)
    return keys(str(one)) == keys(str(other))


def is_colour(key: str) -> bool:
    """Whether a fact of this key names a colour."""
    return _COLOUR.search(key.casefold()) is not None


def is_material(key: str) -> bool:
    """Whether a fact of this key names a material."""
    return _MATERIAL.search(key.casefold()) is not None
