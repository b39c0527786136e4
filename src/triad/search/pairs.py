"""What is known of a query and a product beside one another: how their words match, and what the product is.

Columns that another query's products cannot be compared by, such as BM25, also stand relative to the query's best
product of the whole catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.search.associations import Associations, columns
from triad.search.lexical import FIELDS, Index, Settings, index_of, words_of
from triad.search.words import has_digit, plain
from triad.texts import Texts

TEXT = (
    *(f"bm25_{name}" for name in FIELDS),
    *("bm25", "bm25_share", "bm25_place", "letters", "letters_share"),
    *(
        "words_met",
        "title_words_met",
        "title_met",
        "numbers_met",
        "is_corrected",
        "query_words",
        "title_words",
        "brand_named",
    ),
)
LEARNED = ("association", "association_share")


@dataclass(frozen=True)
class Typed:
    """Queries as read against a catalogue."""

    typed: list[list[str]]
    corrected: list[list[str]]

    @classmethod
    def of(cls, texts: dict[str, Texts], queries: Sequence[str]) -> Typed:
        """Each query's words, as typed and as corrected."""
        held = words_of(texts)
        both = [held.read(query) for query in queries]
        return cls([typed for typed, _ in both], [corrected for _, corrected in both])


def text_columns(
    texts: dict[str, Texts], settings: Settings, queries: Sequence[str], query: Ints, item: Ints
) -> Floats:
    """(n, `TEXT`) float32 of pairs by query; NaN where a query says nothing of it."""
    read, index = Typed.of(texts, queries), index_of(texts, settings)
    table = np.full((len(query), len(TEXT)), np.nan, np.float32)
    letters = letter_scores(index, queries)
    for block, scores in index.blocks(read.corrected):
        first, last = np.searchsorted(query, [block.start, block.stop])
        rows, here, at = slice(first, last), item[first:last], query[first:last] - block.start
        total = np.tensordot(np.asarray(settings.weights, np.float32), scores, 1)
        alike = None if letters is None else letters[block].toarray()
        parts = [
            *(field[at, here] for field in scores),
            total[at, here],
            _share(total, at, here),
            _place(total, at, here),
        ]
        parts += [np.zeros(last - first)] * 2 if alike is None else [alike[at, here], _share(alike, at, here)]
        table[rows, : len(parts)] = np.stack(parts, axis=1)
    table[:, len(FIELDS) + 5 :] = _words(index, read, query, item)
    return table


def letter_scores(index: Index, queries: Sequence[str]) -> csr_array | None:
    """(queries, products) cosine of the letters of queries and titles."""
    if index.words.letters is None:
        return None
    reader, titles = index.words.letters
    return csr_array(csr_array(reader.transform([plain(query, 500) for query in queries])) @ titles.T)


def association_columns(
    learned: Associations, texts: dict[str, Texts], queries: Sequence[str], query: Ints, item: Ints
) -> Floats:
    """(n, `LEARNED`) float32."""
    held, read = words_of(texts), Typed.of(texts, queries)
    return columns(learned.scores(read.typed, held.named, held.known), query, item)


def _share(scores: Floats, at: Ints, item: Ints) -> Floats:
    highest = scores.max(axis=1, initial=0)[at]
    return np.divide(scores[at, item], highest, out=np.zeros(len(at), np.float32), where=highest > 0)


def _place(scores: Floats, at: Ints, item: Ints) -> Floats:
    """Log of how many products of the catalogue stand before."""
    own = scores[at, item]
    place = np.zeros(len(at))
    for row in np.unique(at):
        mine = at == row
        ordered = np.sort(scores[row])
        place[mine] = len(ordered) - np.searchsorted(ordered, own[mine], side="right")
    return np.log1p(place)


def _words(index: Index, read: Typed, query: Ints, item: Ints) -> Floats:
    """(n, 8) the columns of `TEXT` from `words_met` on."""
    held, queries = index.words, read.corrected
    rarity = held.rarity
    unknown = float(rarity.max(initial=1.0))
    titles = np.array([len(title) for title in held.fields["title"]])
    anywhere, in_title, in_brand = (
        _products(part) for part in (held.anywhere, held.holds["title"], held.holds["brand"])
    )
    result = np.full((len(query), 8), np.nan)
    weights = [np.array([rarity[held.known[w]] if w in held.known else unknown for w in words]) for words in queries]
    numbers = [[held.known.get(word, -1) for word in words] for words in queries]
    digits = [np.array([has_digit(word) for word in words], bool) for words in queries]
    changed = [float(a != b) for a, b in zip(read.typed, queries, strict=True)]
    for row, (q, i) in enumerate(zip(query.tolist(), item.tolist(), strict=True)):
        result[row, 3:7] = np.nan, changed[q], len(queries[q]), titles[i]
        if not queries[q]:
            continue
        weight = weights[q]
        met = np.array([number in anywhere[i] for number in numbers[q]])
        titled = np.array([number in in_title[i] for number in numbers[q]])
        result[row, 0], result[row, 1] = weight @ met / weight.sum(), weight @ titled / weight.sum()
        result[row, 2] = titled.sum() / max(titles[i], 1)
        if digits[q].any():
            result[row, 3] = met[digits[q]].mean()
        result[row, 7] = float(bool(in_brand[i]) and any(number in in_brand[i] for number in numbers[q]))
    return result


def _products(matrix: csr_array) -> list[set[int]]:
    by_item = csr_array(matrix.T)
    return [set(by_item.indices[a:b].tolist()) for a, b in zip(by_item.indptr[:-1], by_item.indptr[1:], strict=True)]
