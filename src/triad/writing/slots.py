"""What can be copied of a product: its name and parts of it, its brand, its values, and numbers with their units."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Ints
from triad.writing.amounts import Form
from triad.writing.product import Product
from triad.writing.tokens import Token, cut, has_digit, is_word

WORDS, MOST_PLACES, MOST_LENGTH = 4_096, 16, 8
"""Hashed rows for words; places in a value and lengths of slots beyond these share the last row."""

FEATURES = ("word", "key", "sort", "place", "length", "shape")
WHOLE_NAME, NAME_PART, BRAND, WHOLE, PART, NUMBER = range(6)

_MOST_TOKENS = 12  # of a value: the rest is a list nobody repeats


@dataclass(frozen=True)
class Slot:
    """Tokens that one step copies. `start` to `end` are its places: what is said once is not said again."""

    tokens: tuple[Token, ...]
    key: str
    sort: int
    start: int
    end: int
    place: int  # in its value

    @property
    def keys(self) -> tuple[str, ...]:
        """What a text must hold for this slot to have been copied."""
        return tuple(token.key for token in self.tokens)


def slots_of(product: Product, forms: Mapping[str, tuple[Form, ...]], known: Sequence[str], most: int) -> list[Slot]:
    """The first `most` slots: of name, brand, then of facts in the order of `known`, the keys that texts use most."""
    slots: list[Slot] = []
    at = 0
    said, numbers = dict(product.said()), dict(product.numbers())
    for key in ("name", "brand", *known):
        if key in numbers:
            for form in (*forms.get(key, ()), Form(1.0, "", False)):
                tokens = form.tokens(numbers[key])
                slots.append(Slot(tokens, key, NUMBER, at, at + 1, len(tokens)))
            at += 2  # the values stand apart: nothing of one follows another
        elif key in said:
            tokens = cut(said[key])[: _MOST_TOKENS if key != "name" else None]
            slots += _of_value(tokens, key, at)
            at += len(tokens) + 1
        if len(slots) >= most:
            break
    return _distinct(slots)[:most]


def _of_value(tokens: tuple[Token, ...], key: str, at: int) -> list[Slot]:
    whole, part = {"name": (WHOLE_NAME, NAME_PART), "brand": (BRAND, BRAND)}.get(key, (WHOLE, PART))
    slots = [Slot(tokens, key, whole, at, at + len(tokens), 0)] if tokens else []
    if len(tokens) < 2 or key == "brand":
        return slots
    for place, token in enumerate(tokens):
        if is_word(token.text):
            slots.append(Slot((token,), key, part, at + place, at + place + 1, place))
    return slots


def _distinct(slots: list[Slot]) -> list[Slot]:
    """One of several slots of a key that say the same at the same place."""
    seen: set[tuple[object, ...]] = set()
    return [
        slot
        for slot in slots
        if (mark := (slot.start, slot.end, slot.keys)) not in seen and not seen.add(mark)  # type: ignore[func-returns-value]
    ]


def features(slots: Sequence[Slot], key_codes: Mapping[str, int]) -> Ints:
    """(slots, FEATURES) codes of what the network sees of each."""
    rows = [
        (
            hashed(slot.keys[0] if len(slot.keys) == 1 else " ".join(slot.keys)),
            key_codes.get(slot.key, 0),
            slot.sort,
            min(slot.place, MOST_PLACES - 1),
            min(len(slot.tokens), MOST_LENGTH - 1),
            _shape(slot.tokens[0].text),
        )
        for slot in slots
    ]
    return np.array(rows, np.int32).reshape(-1, len(FEATURES))


def hashed(word: str) -> int:
    """A word's row."""
    return zlib.crc32(word.encode()) % WORDS


def _shape(text: str) -> int:
    """Of a token: number, code, capitals, capitalised, small letters, other."""
    if text[0].isdigit() and text.replace(".", "").replace(",", "").isdigit():
        return 0
    if has_digit(text):
        return 1
    return 2 if text.isupper() else 3 if text[0].isupper() else 4 if text.islower() else 5
