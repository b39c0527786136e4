"""How a text could have been written: step by step, each a word of the language or a slot that is copied.

What the product's attributes do not say is left out, so that no step teaches to invent: the word, or the phrase if that
is half of it; of a text that says mostly such things, all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from triad.writing.slots import Slot
from triad.writing.tokens import Token

END, START, FIRST = 0, 1, 2
"""Steps that are no word, and the first that is one."""

_PARTS = {",", ";", "|", "."}
_LEADING = {"for", "with", "to", "and", "of", "from", "in", "on", "by", "at", "/", "-", "–", "&", "+", ":", "x", "~"}


@dataclass(frozen=True)
class Step:
    """What was written: a word's place in the vocabulary or, from there on, a slot; and all slots that say the same."""

    taken: int
    alike: tuple[int, ...]


def phrases(tokens: Sequence[Token]) -> list[list[Token]]:
    """`tokens` parted at commas, each phrase with the comma that ends it."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        parts[-1].append(token)
        if token.text in _PARTS:
            parts.append([])
    return [part for part in parts if part]


def derive(tokens: Sequence[Token], slots: Sequence[Slot], words: Mapping[str, int], most: int) -> list[Step]:
    """The steps that write what is supported of `tokens`, at most `most`, without END."""
    starts: dict[str, list[int]] = {}
    for number, slot in enumerate(slots):
        starts.setdefault(slot.keys[0], []).append(number)
    used: set[int] = set()
    whole, lost = _steps(tokens, slots, starts, words, used)
    if not lost:  # also a name with commas in it
        return whole if len(whole) <= most else []
    if lost * 2 > len(tokens):
        return []
    steps: list[Step] = []
    used = set()
    for phrase in phrases(tokens):
        now = set(used)
        found, lost = _steps(phrase, slots, starts, words, now)
        if lost * 2 <= len(phrase) and len(steps) + len(found) <= most:
            steps += found
            used = now
    return _cleaned(steps, words)


def _steps(
    tokens: Sequence[Token],
    slots: Sequence[Slot],
    starts: Mapping[str, list[int]],
    words: Mapping[str, int],
    used: set[int],
) -> tuple[list[Step], int]:
    """The steps, and how many tokens are in none."""
    said, steps, at, lost = [token.key for token in tokens], list[Step](), 0, 0
    while at < len(said):
        fits = [
            number
            for number in starts.get(said[at], ())
            if tuple(said[at : at + len(slots[number].keys)]) == slots[number].keys
            and not used.intersection(range(slots[number].start, slots[number].end))
        ]
        if fits:
            length = max(len(slots[number].keys) for number in fits)
            alike = tuple(number for number in fits if len(slots[number].keys) == length)
            first = slots[alike[0]]
            used.update(range(first.start, first.end))
            steps.append(Step(len(words) + FIRST + alike[0], tuple(len(words) + FIRST + number for number in alike)))
            at += length
        else:
            word = words.get(tokens[at].text)
            steps += [] if word is None else [Step(word, (word,))]
            lost += word is None
            at += 1
    return steps, lost


def _cleaned(steps: list[Step], words: Mapping[str, int]) -> list[Step]:
    """Without a bracket around nothing, and without a word at a phrase's end that leads to what was left out."""
    opens, closes = words.get("("), words.get(")")
    leading = {words[word] for word in _LEADING if word in words}
    ends = {words[part] for part in _PARTS if part in words}
    kept: list[Step] = []
    for step in steps:
        while kept and kept[-1].taken in leading and step.taken in ends | leading | {closes}:
            kept.pop()
        if kept and kept[-1].taken == opens and step.taken == closes:
            kept.pop()
            continue
        if step.taken in ends and (not kept or kept[-1].taken in ends):
            continue
        kept.append(step)
    while kept and kept[-1].taken in (ends | leading | {opens}) - {words.get(".")}:
        kept.pop()
    return kept


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
