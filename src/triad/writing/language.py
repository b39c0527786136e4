"""What a shop's texts are made of, learned by counting: words that may be said freely, facts worth saying, blanks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from triad.writing.check import Facts
from triad.writing.derivation import HOLE, class_of, glue
from triad.writing.product import Product
from triad.writing.slots import Slot, slots_of
from triad.writing.tokens import UNITS, Token, cut, has_digit, is_word, keys

MOST_SLOTS, MOST_STEPS = 64, 24
FEWEST = 50
"""Texts of a genre, without which a template writes it."""

_USES, _KEYS = 5, 400  # of a word or key to be kept; keys kept
_ARTICLES = {"a", "in"}  # ampere and inch only after a number, which the check sees


@dataclass(frozen=True)
class Language:
    """`words`: END, START, HOLE, then words that name nothing. `known`: keys of facts, the most used ones first."""

    words: tuple[str, ...]
    known: tuple[str, ...]
    blanks: dict[tuple[str, str], bool]
    facts: Facts
    genres: frozenset[str]  # those of which there are enough texts to learn from

    @classmethod
    def of(cls, products: Sequence[Product]) -> Language:
        """Learned from the attributes and texts of a catalogue."""
        facts = Facts.of(products)
        uses: Counter[str] = Counter()
        said: Counter[str] = Counter()
        for product in products:
            spoken = set()
            for text in product.texts.values():
                tokens = cut(text)
                said.update(token.text for token in tokens)
                spoken |= {token.key for token in tokens}
            for key, value in product.said():
                uses[key] += any(word in spoken for word in keys(value) if is_word(word))
            for key, number in product.numbers():
                uses[key] += any(form.tokens(number)[0].key in spoken for form in facts.forms.get(key, ()))
        named = set(facts.brands) | facts.colours | facts.materials | (set(UNITS) - _ARTICLES)
        words = [
            word
            for word, times in said.most_common()
            if times >= _USES
            and not has_digit(word)
            and word.casefold() not in named
            and word.casefold() in facts.common - facts.claims
        ]
        known = [key for key, times in uses.most_common(_KEYS) if times >= _USES and key not in ("name", "brand")]
        written = Counter(genre for product in products for genre in product.texts)
        blanks = glue(cut(text) for product in products for text in product.texts.values())
        return cls(
            (*[""] * (HOLE + 1), *words),
            tuple(known),
            blanks,
            facts,
            frozenset(genre for genre, times in written.items() if times >= FEWEST),
        )

    @property
    def places(self) -> dict[str, int]:
        """Word → its place."""
        return {word: place for place, word in enumerate(self.words) if place > HOLE}

    @property
    def key_codes(self) -> dict[str, int]:
        """Key → its code; 0 is any other."""
        return {key: code for code, key in enumerate(("name", "brand", *self.known), 1)}

    def slots(self, product: Product) -> list[Slot]:
        """What can be copied of `product`."""
        return slots_of(product, self.facts.forms, self.known, MOST_SLOTS)

    def text(self, steps: Sequence[int], slots: Sequence[Slot]) -> str:
        """What `steps` say."""
        said: list[str] = []
        after: Slot | None = None
        for step in steps:
            slot = slots[step - len(self.words)] if step >= len(self.words) else None
            for at, token in enumerate(slot.tokens if slot else (Token(self.words[step], True),)):
                if slot and (at or (after and after.end == slot.start)):
                    spaced = token.spaced  # as its value has it
                else:
                    spaced = not said or self.blanks.get((class_of(said[-1]), class_of(token.text)), True)
                said += [" "] * (spaced and bool(said)) + [token.text]
            after = slot
        return "".join(said)
