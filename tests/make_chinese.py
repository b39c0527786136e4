"""A simulated shop that speaks Chinese: each English word becomes two characters, without blanks between words.

A misspelled word becomes the nearest word with one wrong character, as people type. Words are not those of the
language, but what an encoder or an index meets is: characters, no blanks, and other words for the same.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
from rapidfuzz import process
from rapidfuzz.distance import OSA

FIRST, COUNT = 0x4E00, 3_000
SPOKEN = {
    "items": ("title", "description", "category", "brand"),
    "searches": ("query",),
    "conversations": ("message", "reply"),
    "events": ("query",),
}
OFTEN = 3
"""Times that a word must occur to be no slip."""
_WORD = re.compile(r"[A-Za-z]+")


class Chinese:
    """Of the words that occur in `texts`."""

    def __init__(self, texts: Iterable[str]) -> None:
        count = Counter(word for text in texts for word in _WORD.findall(text.lower()))
        self.known = {word: times for word, times in count.items() if times >= OFTEN}
        self.kept: dict[str, str] = {}

    def word(self, word: str) -> str:
        """Two characters."""
        word = word.lower()
        if word not in self.kept:
            near = None if word in self.known or len(word) < 5 else self._near(word)
            self.kept[word] = _characters(word) if near is None else _characters(near)[0] + _characters(word)[1]
        return self.kept[word]

    def text(self, text: str | None) -> str | None:
        """Words and digits stay in order; blanks go."""
        return None if text is None else _WORD.sub(lambda found: self.word(found[0]), text).replace(" ", "")

    def _near(self, word: str) -> str | None:
        found = process.extractOne(word, self.known.keys(), scorer=OSA.distance, processor=None, score_cutoff=2)
        return None if found is None else str(found[0])


def chinese(tables: dict[str, pa.Table]) -> tuple[dict[str, pa.Table], Chinese]:
    """`tables` in Chinese, and who speaks it."""
    said = [(name, column) for name, columns in SPOKEN.items() for column in columns if name in tables]
    texts = [text for name, column in said for text in tables[name][column].to_pylist() if text]
    speaker, told = Chinese(texts), dict(tables)
    for name, column in said:
        table = told[name]
        values = pa.array([speaker.text(text) for text in table[column].to_pylist()], table[column].type)
        told[name] = table.set_column(table.column_names.index(column), table.schema.field(column), values)
    return told, speaker


def _characters(word: str) -> str:
    digest = hashlib.md5(word.encode()).digest()
    return "".join(chr(FIRST + int.from_bytes(digest[at : at + 2], "big") % COUNT) for at in (0, 2))
