"""A catalogue's words by field, and how well queries match them: BM25 of the library bm25s, one index a field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5

import bm25s
import numpy as np
from bm25s.tokenization import Tokenized
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from triad.arrays import Floats, Ints
from triad.search.spelling import corrected
from triad.search.words import plain, query_words, words
from triad.texts import Texts

FIELDS = ("title", "description", "category", "brand")
CELLS = 4_000_000
"""Scores of (query, product) held at once, of each field."""


@dataclass(frozen=True)
class Settings:
    """Of BM25: how fast repeated words stop counting, how much long texts are held back, and each field's weight."""

    k1: float = 1.2
    b: float = 0.5
    weights: tuple[float, ...] = (1.0, 0.5, 0.5, 0.5)  # of FIELDS


@dataclass(frozen=True)
class Words:
    """The catalogue's words. A word's number is its place in `known`."""

    known: dict[str, int]
    fields: dict[str, list[list[int]]]  # field → each product's words
    titles: list[str]

    @classmethod
    def of(cls, texts: Mapping[str, Texts]) -> Words:
        """Of the `FIELDS` of all products."""
        known: dict[str, int] = {}
        fields = {
            name: [[known.setdefault(word, len(known)) for word in words(text)] for text in texts[name]]
            for name in FIELDS
        }
        return cls(known, fields, [plain(text) for text in texts["title"]])

    @cached_property
    def holds(self) -> dict[str, csr_array]:
        """Field → (words, products) 1 where the product holds the word there."""
        return {name: self._matrix([lists]) for name, lists in self.fields.items()}

    @cached_property
    def anywhere(self) -> csr_array:
        """(words, products) 1 where the product holds the word."""
        return self._matrix(list(self.fields.values()))

    @cached_property
    def named(self) -> csr_array:
        """(words, products) 1 where the product holds the word anywhere but in its description."""
        return self._matrix([self.fields[name] for name in FIELDS if name != "description"])

    @cached_property
    def common(self) -> dict[str, int]:
        """Word → how many products hold it."""
        return dict(zip(self.known, self.anywhere.sum(axis=1).astype(int).tolist(), strict=True))

    @cached_property
    def rarity(self) -> Floats:
        """(words,) inverse document frequency; an unknown word is as rare as one that a single product holds."""
        count = np.asarray(self.anywhere.sum(axis=1), np.float64).ravel()
        return np.log(1 + (len(self.titles) - count + 0.5) / (count + 0.5))

    @cached_property
    def letters(self) -> tuple[TfidfVectorizer, csr_array] | None:
        """Threes of letters in titles, for words that are spelled otherwise; None where no title has any."""
        reader = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, dtype=np.float32)
        try:
            return reader, csr_array(reader.fit_transform(self.titles))
        except ValueError:  # an empty vocabulary
            return None

    def read(self, query: str) -> tuple[list[str], list[str]]:
        """The words of `query`, as typed and as corrected."""
        typed = query_words(query)
        return typed, corrected(typed, self.common)

    def rows(self, queries: Sequence[Sequence[str]]) -> csr_array:
        """(queries, words) 1 where a query holds the word."""
        held = [[self.known[word] for word in each if word in self.known] for each in queries]
        return _ones(held, len(self.known))

    def _matrix(self, parts: list[list[list[int]]]) -> csr_array:
        joined = [sorted(set().union(*each)) for each in zip(*parts, strict=True)]
        return csr_array(_ones(joined, len(self.known)).T)


@dataclass(frozen=True)
class Index:
    """BM25 of every word in every field."""

    words: Words
    scores: dict[str, csr_array]  # field → (words, products)

    @classmethod
    def of(cls, held: Words, k1: float, b: float) -> Index:
        """The library's scores; a field without a word scores nothing."""
        size = len(held.known), len(held.titles)
        scores = {}
        for name, lists in held.fields.items():
            if not any(lists):
                scores[name] = csr_array(size, dtype=np.float32)
                continue
            model = bm25s.BM25(k1=k1, b=b)
            model.index(Tokenized(lists, dict(held.known)), show_progress=False, create_empty_token=False)
            parts = model.scores
            whole = csr_array(
                (parts["data"], parts["indices"], parts["indptr"]), shape=(len(parts["indptr"]) - 1, size[1])
            )
            whole.resize(size)
            scores[name] = whole
        return cls(held, scores)

    def blocks(self, queries: Sequence[Sequence[str]]) -> Iterator[tuple[slice, Floats]]:
        """(fields, q, products) scores of corrected queries, some at a time."""
        step = max(1, CELLS // max(len(self.words.titles), 1))
        for start in range(0, len(queries), step):
            rows = self.words.rows(queries[start : start + step])
            yield (
                slice(start, start + step),
                np.stack([(rows @ self.scores[name]).toarray() for name in FIELDS]),
            )


_KEPT: dict[tuple[bytes, str], object] = {}


def kept(texts: Mapping[str, Texts], what: str, make: Callable[[], object]) -> object:
    """What `make` made of these texts the last time; the last few are kept."""
    digest = md5()
    for name in FIELDS:
        digest.update(texts[name].tobytes())
    key = (digest.digest(), what)
    if key not in _KEPT:
        made = make()
        while len(_KEPT) > 12:
            _KEPT.pop(next(iter(_KEPT)))
        _KEPT[key] = made
    return _KEPT[key]


def words_of(texts: Mapping[str, Texts]) -> Words:
    """The catalogue's words, read once."""
    made = kept(texts, "words", lambda: Words.of(texts))
    assert isinstance(made, Words)
    return made


def index_of(texts: Mapping[str, Texts], settings: Settings) -> Index:
    """The catalogue's BM25, computed once."""
    made = kept(texts, f"{settings.k1} {settings.b}", lambda: Index.of(words_of(texts), settings.k1, settings.b))
    assert isinstance(made, Index)
    return made


def _ones(rows: Sequence[Sequence[int]], width: int) -> csr_array:
    ends = np.r_[0, np.cumsum([len(row) for row in rows])].astype(np.int64)
    flat = np.fromiter((each for row in rows for each in row), np.int64, int(ends[-1]))
    return csr_array((np.ones(len(flat), np.float32), flat, ends), shape=(len(rows), width))


def best(scores: Floats, count: int) -> Ints:
    """Columns of the `count` highest of `scores` (n,) above 0, highest first, of equals the first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return order[scores[order] > 0]
