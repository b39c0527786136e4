"""Where products lie: the words and letters of what is said of them, and their attributes that are numbers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, hstack

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.products import codes
from triad.products.attributes import Value
from triad.text.bags import Bag
from triad.text.terms import plain

MOST_NUMBERS, FEWEST = 100, 8
"""Attributes that are columns of their own, and products that must have one for that."""
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Said:
    """What is said of a product: never its price."""

    title: str
    description: str
    category: str
    brand: str
    attributes: Mapping[str, Value]

    @property
    def text(self) -> str:
        """All of it. Each attribute is a sentence, so that its name and value are a pair of words."""
        named = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in self._free)
        told = [self.brand, self.category.replace("/", " / "), self.title, *named, self.description]
        return plain(" . ".join(told)) if any(each.strip() for each in told) else ""

    @property
    def called(self) -> str:
        """Brand and title, whose letters hold a model's number."""
        return plain(f"{self.brand} {self.title}")

    @property
    def facts(self) -> list[str]:
        """Brand, category, and each attribute with its whole value; also that it is said at all."""
        told = {"brand": self.brand, "category": self.category} | dict(self._free)
        pairs = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in told.items()]
        return [" ".join(each.split()) for each in (*pairs, *told)]

    @property
    def numbers(self) -> dict[str, float]:
        """Attributes that are numbers, or begin with one."""
        numbers_of = {}
        for name, value in self._free:
            if isinstance(value, float):
                numbers_of[name] = value
            elif (match := _NUMBER.match(value)) is not None:
                numbers_of[name] = float(match[0].replace(",", "."))
        return numbers_of

    @property
    def texts(self) -> dict[str, str]:
        """Attributes that are texts."""
        return {name: value for name, value in self._free if isinstance(value, str)}

    @property
    def codes(self) -> tuple[int, ...]:
        """Its trade item numbers, in order."""
        return tuple(sorted({each for numbers in codes.read(self.attributes).values() for each in numbers}))

    @property
    def _free(self) -> list[tuple[str, Value]]:
        coded = codes.read(self.attributes)  # as a word a number would be one that no other product has
        return [(name, value) for name, value in self.attributes.items() if "price" not in name and name not in coded]


def said(products: object, rows: Ints) -> list[Said]:
    """(n,) of `rows` of the unit's arrays."""
    parts = [getattr(products, name)[np.asarray(rows)].tolist() for name in ("title", "description", "category")]
    parts += [getattr(products, "brand")[np.asarray(rows)].tolist()]  # noqa: B009
    attributes = [json.loads(text or "{}") for text in getattr(products, "attributes")[np.asarray(rows)]]  # noqa: B009
    return [Said(*each) for each in zip(*parts, attributes, strict=True)]


@dataclass(frozen=True)
class Space:
    """Fitted on train products."""

    words: Bag
    letters: Bag
    facts: Bag
    names: tuple[str, ...]  # attributes that are columns of their own

    @classmethod
    def fit(cls, products: Sequence[Said]) -> Space:
        """Of what is said of `products`."""
        counts = Counter(name for each in products for name in each.numbers)
        often = [name for name, count in counts.items() if count >= FEWEST]
        names = sorted(sorted(often, key=lambda name: (-counts[name], name))[:MOST_NUMBERS])
        words = Bag.fit([each.text for each in products], ("words",))
        letters = Bag.fit([each.called for each in products], ("letters",))
        return cls(words, letters, Bag.fit(["\n".join(each.facts) for each in products], ("lines",)), tuple(names))

    def matrix(self, products: Sequence[Said]) -> csr_array:
        """(n, columns), the words, the letters and the facts of each product of length 1."""
        facts = self.facts.matrix(["\n".join(each.facts) for each in products])
        return csr_array(hstack([self.terms(products), self.called(products), facts], format="csr"))

    def terms(self, products: Sequence[Said]) -> csr_array:
        """(n, columns) of words alone."""
        return self.words.matrix([each.text for each in products])

    def called(self, products: Sequence[Said]) -> csr_array:
        """(n, columns) of letters alone."""
        return self.letters.matrix([each.called for each in products])

    def numbers(self, products: Sequence[Said]) -> Floats:
        """(n, names), NaN where a product has none."""
        read = [each.numbers for each in products]
        rows = [[each.get(name, np.nan) for name in self.names] for each in read]
        return np.array(rows, np.float64).reshape(len(products), len(self.names))

    def save(self, folder: Path) -> None:
        """The bags, and the names."""
        for name in ("words", "letters", "facts"):
            getattr(self, name).save(folder / name)
        write_json(folder / "names.json", list(self.names))

    @classmethod
    def load(cls, folder: Path) -> Space:
        """What `save` wrote."""
        names = tuple(read_json(folder / "names.json"))
        words, letters, facts = (Bag.load(folder / name) for name in ("words", "letters", "facts"))
        return cls(words, letters, facts, names)
