"""What earlier judgements say of words: who asks for "sneakers" is content with what is called trainers.

For each word of queries and each of products: the mean grade of the judged pairs that hold both, less the query's own
mean, drawn toward 0 where pairs are few. Only words of queries that several queries share are kept: what one customer
alone typed is learned by nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.search.words import has_digit

FEWEST = 2
"""Queries that must share a word before it is learned."""
PULL = 10.0
"""Pairs that speak for no association."""
MOST = 4_000
"""Words of either side."""


Pairs = tuple[Ints, Ints, Floats]
"""(n,) query, product and grade of each judged pair."""


@dataclass(frozen=True)
class Associations:
    """`table` (asked, said) is how much better than its query's mean a product with the word `said` was judged."""

    asked: dict[str, int]
    said: dict[str, int]
    table: Floats

    @classmethod
    def fit(
        cls,
        queries: Sequence[Sequence[str]],
        products: csr_array,
        names: Sequence[str],
        pairs: Pairs,
    ) -> Associations:
        """Learned of judged pairs.

        Args:
            queries: the words of each query, as typed.
            products: (words, items) 1 where a product holds the word, and the words' names.
            pairs: what was judged.
        """
        query, item, grades = pairs
        asked_by = Counter(word for number in np.unique(query) for word in queries[number])
        asked = [word for word, count in asked_by.most_common(MOST) if count >= FEWEST and not has_digit(word)]
        met = np.asarray(products[:, np.unique(item)].sum(axis=1)).ravel()
        rows = np.argsort(-met, kind="stable")[:MOST]
        rows = np.sort(rows[met[rows] >= FEWEST])
        numbers = {word: number for number, word in enumerate(asked)}
        mean = np.bincount(query, grades) / np.maximum(np.bincount(query), 1)
        holds = products[rows][:, item].T  # (n, said)
        types = _typed(queries, numbers)[query]  # (n, asked)
        count = np.asarray((types.T @ holds).toarray(), np.float64)
        total = np.asarray((types.T @ (holds.multiply((grades - mean[query])[:, None]).tocsr())).toarray(), np.float64)
        return cls(numbers, {names[row]: place for place, row in enumerate(rows)}, total / (count + PULL))

    def scores(self, queries: Sequence[Sequence[str]], products: csr_array, known: dict[str, int]) -> Floats:
        """(queries, items) Σ over a query's words of what is best associated of a product's; 0 where nothing is known.

        Args:
            products, known: (words, items) 1 where a product holds the word; each word's row.
        """
        row = np.array([known.get(word, -1) for word in self.said], np.int64)
        held = csr_array(products[row[row >= 0]].T)  # (items, said)
        table, typed = self.table[:, row >= 0], _typed(queries, self.asked)
        highest = np.zeros((len(self.asked), held.shape[0]))
        some = np.diff(held.indptr) > 0
        for word in np.unique(typed.indices) if some.any() else ():
            highest[word, some] = np.maximum.reduceat(table[word, held.indices], held.indptr[:-1][some])
        return np.asarray(typed @ highest)


def out_of_fold(
    queries: Sequence[Sequence[str]],
    products: csr_array,
    known: dict[str, int],
    pairs: Pairs,
    fold: Ints,
) -> Floats:
    """(n, 2) as `pairs.LEARNED` of judged pairs, each by what other folds' queries say: as of a query never judged.

    Args:
        fold: (queries,) each query's fold.
    """
    query, item, grades = pairs
    result = np.zeros((len(query), 2), np.float32)
    for number in np.unique(fold[query]):
        held: Bools = fold[query] == number
        learned = Associations.fit(queries, products, list(known), (query[~held], item[~held], grades[~held]))
        asked, row = np.unique(query[held], return_inverse=True)
        result[held] = columns(learned.scores([queries[each] for each in asked], products, known), row, item[held])
    return result


def columns(scores: Floats, query: Ints, item: Ints) -> Floats:
    """(n, 2) the score of each pair, and what it lacks of the query's highest."""
    own = scores[query, item]
    return np.stack([own, own - scores.max(axis=1, initial=-np.inf)[query]], axis=1).astype(np.float32)


def _typed(queries: Sequence[Sequence[str]], numbers: dict[str, int]) -> csr_array:
    rows = [[numbers[word] for word in each if word in numbers] for each in queries]
    ends = np.r_[0, np.cumsum([len(row) for row in rows])].astype(np.int64)
    flat = np.fromiter((each for row in rows for each in row), np.int64, int(ends[-1]))
    return csr_array((np.ones(len(flat)), flat, ends), shape=(len(rows), len(numbers)))
