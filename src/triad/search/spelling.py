"""Words that the catalogue does not know, read as those that it does: by edit distance, the commoner word first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from triad.search.words import has_digit

SHORTEST, LONG = 4, 8
"""Letters of a word that may be misspelled by one edit, and by two."""


def corrected(words: Sequence[str], known: Mapping[str, int]) -> list[str]:
    """`words`, unknown ones replaced by the nearest known word where one is near enough, each once.

    A swap of two letters is one edit. Amounts and codes stay: one digit off is another product.

    Args:
        known: word → how many products hold it.
    """
    result = []
    for word in words:
        near = word if word in known else _nearest(word, known)
        result.append(near)
    return list(dict.fromkeys(result))


def _nearest(word: str, known: Mapping[str, int]) -> str:
    if len(word) < SHORTEST or has_digit(word) or not word.isalpha():
        return word
    edits = 2 if len(word) >= LONG else 1
    candidates = process.extract(word, known.keys(), scorer=OSA.distance, processor=None, score_cutoff=edits, limit=20)
    best = [(distance, other[0] != word[0], -known[other], other) for other, distance, _ in candidates]
    best = [each for each in best if not has_digit(each[3]) and len(each[3]) >= SHORTEST - 1]
    return min(best)[3] if best else word
