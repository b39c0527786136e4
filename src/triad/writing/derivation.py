"""How a text could have been written: step by step, each a word of the language or a slot that is copied.

Where a text says what the product's attributes do not say, it has a hole: a step that training learns to expect and
that writing never takes. So no step teaches to invent, and what leads to a hole is said less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from triad.writing.slots import Slot
from triad.writing.tokens import Token

END, START, HOLE = range(3)
"""Steps that are no word."""


@dataclass(frozen=True)
class Step:
    """What was written: a word's place in the vocabulary or, from there on, a slot; and all slots that say the same."""

    taken: int
    alike: tuple[int, ...]


def derive(tokens: Sequence[Token], slots: Sequence[Slot], words: Mapping[str, int], first: int) -> list[Step]:
    """The steps that write `tokens`, without END. `first`: the step that copies the first slot."""
    starts: dict[str, list[int]] = {}
    for number, slot in enumerate(slots):
        starts.setdefault(slot.keys[0], []).append(number)
    said, steps, at, used = [token.key for token in tokens], list[Step](), 0, set[int]()
    while at < len(said):
        fits = [
            number
            for number in starts.get(said[at], ())
            if tuple(said[at : at + len(slots[number].keys)]) == slots[number].keys
            and not used.intersection(range(slots[number].start, slots[number].end))
        ]
        if fits:
            length = max(len(slots[number].keys) for number in fits)
            alike = tuple(first + number for number in fits if len(slots[number].keys) == length)
            used.update(range(slots[alike[0] - first].start, slots[alike[0] - first].end))
            steps.append(Step(alike[0], alike))
            at += length
            continue
        word = words.get(tokens[at].text, HOLE)
        if word != HOLE or not steps or steps[-1].taken != HOLE:
            steps.append(Step(word, (word,)))
        at += 1
    return steps


def glue(texts: Iterable[Sequence[Token]]) -> dict[tuple[str, str], bool]:
    """(what stands before, what follows) → whether texts have a blank between; a word's class stands for it."""
    count: Counter[tuple[str, str]] = Counter()
    spaced: Counter[tuple[str, str]] = Counter()
    for tokens in texts:
        for before, after in pairwise(tokens):
            pair = class_of(before.text), class_of(after.text)
            count[pair] += 1
            spaced[pair] += after.spaced
    return {pair: 2 * spaced[pair] >= times for pair, times in count.items()}


def class_of(text: str) -> str:
    """A sign stands for itself."""
    return "word" if any(each.isalnum() for each in text) else text
