"""The products of the whole catalogue that may answer a query; where none matches, what is shown in their place.

| Match | Means |
|---|---|
| `all words` | some product holds every word of the query, as typed |
| `corrected` | some product holds every word, once unknown words are spelled as the catalogue spells them |
| `some words` | no product holds every word; what holds some, or looks alike, is shown |
| `popular` | no product matches at all, or nothing was typed: the products that are taken most |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.search.associations import Associations
from triad.search.lexical import Index, Settings, best, index_of
from triad.search.pairs import Typed, letter_scores
from triad.texts import Texts

ALL, CORRECTED, SOME, POPULAR = "all words", "corrected", "some words", "popular"
ALIKE = 0.3
"""Cosine of letters from which a title may be what was meant."""
MEANT = 0.05
"""Grades by which judgements must have raised a product's words, before it is shown though no word matches."""


@dataclass(frozen=True)
class Found:
    """What may be shown for a query, in no order that matters but where it is `popular`."""

    items: Ints  # catalogue rows
    match: str


def retrieve(
    texts: dict[str, Texts],
    settings: Settings,
    queries: Sequence[str],
    count: int,
    *,
    popular: Floats,
    learned: Associations | None = None,
    dense: Floats | None = None,
) -> list[Found]:
    """The best `count` by words, by letters, by what judgements say, and by meaning, all of them together.

    Args:
        popular: (n_items,) how often each product is taken.
        learned: from earlier judgements.
        dense: (queries, n_items) cosines of texts' vectors, where there are any.
    """
    index, read = index_of(texts, settings), Typed.of(texts, queries)
    held = index.words
    letters = letter_scores(index, queries)
    most = best(np.asarray(popular), count)
    found: list[Found] = []
    for block, fields in index.blocks(read.corrected):
        total = np.tensordot(np.asarray(settings.weights, np.float32), fields, 1)
        said = None if learned is None else learned.scores(read.typed[block], held.named, held.known)
        for row, scores in enumerate(total):
            number = block.start + row
            # weights that order judged products best can leave others out, so all fields alike find some too
            parts = [best(scores, count), best(fields[:, row].sum(axis=0), count)]
            if letters is not None:
                alike = letters[[number]].toarray()[0]
                parts.append(best(np.where(alike >= ALIKE, alike, 0), count))
            if said is not None:
                parts.append(best(np.where(said[row] >= MEANT, said[row], 0), count))
            if dense is not None and read.typed[number]:
                parts.append(best(dense[number], count))
            items = np.unique(np.concatenate(parts))
            if not len(items):
                found.append(Found(most, POPULAR))
                continue
            found.append(Found(items, _match(index, read.typed[number], read.corrected[number])))
    return found


def _match(index: Index, typed: list[str], corrected: list[str]) -> str:
    held = index.words
    rows = [held.known[word] for word in corrected if word in held.known]
    if not rows or len(rows) < len(corrected):
        return SOME
    holders = np.asarray(held.anywhere[rows].sum(axis=0)).ravel()
    if holders.max(initial=0) < len(rows):
        return SOME
    return ALL if typed == corrected else CORRECTED
