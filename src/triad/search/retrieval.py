"""The products of the whole catalogue that may answer a query; where none matches, what is shown in their place.

| Match | Means |
|---|---|
| `all words` | some product holds every word of the query, as typed |
| `corrected` | some product holds every word, once unknown words are spelled as the catalogue spells them |
| `some words` | no product holds every word; what holds some, or looks alike, is shown |
| `number` | no product holds every word, and what was typed is the id of one: it alone is shown |
| `popular` | no product matches at all, or nothing was typed: the products that are taken most |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.search.associations import Associations
from triad.search.lexical import Index, Settings, best, index_of
from triad.search.meaning import Meaning
from triad.search.pairs import Typed, letter_scores
from triad.texts import Texts

ALL, CORRECTED, SOME, NUMBER, POPULAR = "all words", "corrected", "some words", "number", "popular"
ALIKE = 0.3
"""Cosine from which a product may be what was meant, though no word is met: of its title's letters, of vectors."""
NEAR = 0.25
"""What meaning counts beside words: it finds what they miss, and puts what they find in another order."""
MEANT = 0.05
"""Grades by which judgements must have raised a product's words, before it is shown though no word matches."""


CANDIDATES = 200
"""Products of each way of finding them that are put in order, at least."""
DEEP, RELEVANT = 100, 2
"""Products that a whole answer holds, at least, and the least grade of those that it should hold."""
CONSTANT = 60.0
"""What is added to a rank, so that the very first of one order do not decide alone: as published."""


@dataclass(frozen=True)
class Found:
    """What may be shown for a query, in no order that matters but where it is `popular`."""

    items: Ints  # catalogue rows
    match: str
    words: Floats  # BM25 of each, where it has a say in which are shown; 0 where no word is met


def retrieve(
    texts: dict[str, Texts],
    settings: Settings,
    queries: Sequence[str],
    count: int,
    *,
    popular: Floats,
    learned: Associations | None = None,
    meaning: Meaning | None = None,
    beside: bool = False,
    allowed: Bools | None = None,
) -> list[Found]:
    """The best `count` by words, by letters, by what judgements say, and by words and meaning, all of them together.

    Args:
        popular: (n_items,) how often each product is taken.
        learned: from earlier judgements.
        meaning: of an encoder of texts, where there is one.
        beside: whether BM25 has a say in which are shown (`chosen`).
        allowed: (n_items,) what may be shown; None: everything. What may not takes nobody's place.
    """

    def shown(scores: Floats) -> Floats:
        return scores if allowed is None else np.where(allowed, scores, 0)

    index, read = index_of(texts, settings), Typed.of(texts, queries)
    held = index.words
    letters = letter_scores(index, queries)
    most = best(shown(np.asarray(popular)), count)
    answers: list[Found] = []
    meant: Iterator[Floats | None] = repeat(None)
    if meaning is not None:
        meant = meaning.near(texts, queries)
    for (block, fields), near in zip(index.blocks(read.corrected), meant, strict=False):
        total = np.tensordot(np.asarray(settings.weights, np.float32), fields, 1)
        said = None if learned is None else learned.scores(read.typed[block], held.named, held.known)
        for row, scores in enumerate(total):
            number = block.start + row
            plain = shown(fields[:, row].sum(axis=0))
            # weights that order judged products best can leave others out, so all fields alike find some too
            parts = [best(shown(scores), count), best(plain, count)]
            if letters is not None:
                alike = letters[[number]].toarray()[0]
                parts.append(best(shown(np.where(alike >= ALIKE, alike, 0)), count))
            if said is not None:
                parts.append(best(shown(np.where(said[row] >= MEANT, said[row], 0)), count))
            if near is not None and read.typed[number]:
                parts.append(best(hybrid(plain, shown(near[row])), count))
            items = np.unique(np.concatenate(parts))
            if not len(items):
                answers.append(Found(most, POPULAR, np.zeros(len(most))))
                continue
            match = _match(index, read.typed[number], read.corrected[number], allowed)
            answers.append(Found(items, match, plain[items] if beside else np.zeros(len(items))))
    return answers


def chosen(scores: Floats, words: Floats, count: int) -> Bools:
    """(n,) the first `count` by reciprocal-rank fusion of two orders (Cormack et al. 2009).

    What puts products in order learned of judged ones, which somebody had found; of all others it knows little.

    Args:
        scores: (n,) by which they will stand.
        words: (n,) BM25; what no word meets has no rank by it; 0 everywhere leaves one order.
    """
    fused = _reciprocal(scores) + np.where(words > 0, _reciprocal(words), 0.0)
    return _rank(fused) <= count


def _reciprocal(scores: Floats) -> Floats:
    return 1 / (CONSTANT + _rank(scores))


def _rank(scores: Floats) -> Floats:
    """(n,) from 1 on, the highest first."""
    rank = np.empty(len(scores))
    rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return rank


def hybrid(words: Floats, near: Floats, share: float = NEAR) -> Floats:
    """(n_items,) BM25 with a `share` of cosines, each over its highest; where no word is met, what is near."""
    if not words.max(initial=0):
        return np.where(near >= ALIKE, near, 0)
    return words / words.max() + share * near / max(near.max(), 1e-9)


def _match(index: Index, typed: list[str], corrected: list[str], allowed: Bools | None) -> str:
    held = index.words
    rows = [held.known[word] for word in corrected if word in held.known]
    if not rows or len(rows) < len(corrected):
        return SOME
    holders = np.asarray(held.anywhere[rows].sum(axis=0)).ravel()
    if (holders if allowed is None else holders[allowed]).max(initial=0) < len(rows):
        return SOME
    return ALL if typed == corrected else CORRECTED
