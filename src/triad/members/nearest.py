"""An approximate index over a catalogue's vectors, for catalogues so large that products with all of them cost most.

It is faiss's inverted file (Douze et al. 2024, arXiv:2401.08281): vectors lie in groups, and a query looks through the
groups near it alone. One coordinate more turns the largest product into the least distance (Bachrach et al. 2014,
doi:10.1145/2645710.2645741).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Bools, Floats, Ints
from triad.members.chances import Chances, Sparse

FOUND = 96
"""Items that the index names for a query; who asks for more gets an exact answer."""
SEARCHED = 24
"""Groups that a query looks through, of four times the square root of the number of items."""
SAMPLE = 2048
"""Items drawn once, whose products stand for those of the items that the index does not name."""


@dataclass(frozen=True)
class Nearest:
    """The index over `vectors` (n_items, dim)."""

    vectors: Floats
    sample: Ints  # (SAMPLE,) items, ascending
    index: Any

    @classmethod
    def of(cls, vectors: Floats, seed: int = 1) -> Nearest:
        """Groups are learned by k-means, the same for one `seed`."""
        import faiss

        vectors = np.ascontiguousarray(vectors, np.float32)
        length = np.einsum("nd,nd->n", vectors, vectors)
        wide = np.column_stack([vectors, np.sqrt(np.maximum(length.max() - length, 0))]).astype(np.float32)
        groups = max(1, int(4 * len(vectors) ** 0.5))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(wide.shape[1]), wide.shape[1], groups)
        index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = seed, 5, 32
        index.train(wide)
        index.add(wide)
        index.nprobe = SEARCHED
        random = np.random.default_rng(seed)
        sample = np.sort(random.choice(len(vectors), min(SAMPLE, len(vectors)), replace=False))
        return cls(vectors, sample, index)

    def find(self, queries: Floats) -> tuple[Ints, Ints]:
        """(n,) query and item: for each of `queries` (q, dim) the `FOUND` items with about the largest products."""
        wide = np.column_stack([queries, np.zeros(len(queries))]).astype(np.float32)
        rows = self.index.search(wide, FOUND)[1]
        query, place = np.nonzero(rows >= 0)
        return query, rows[query, place]


@dataclass(frozen=True)
class Near:
    """Probabilities w · softmax(products + inside) + outside, of which the index names the largest.

    The softmax divides by a total: exactly the items looked at, and all others by the sample.
    """

    nearest: Nearest
    queries: Floats  # (q, dim)
    inside: csr_array  # (q, n_items) added to the products; whose items are looked at, too
    weight: Floats  # (q,) of the softmax
    outside: Sparse | None
    exact: Callable[[], Chances]  # what is asked for all items

    def best(self, each: int) -> Ints:
        if each > FOUND:
            return self.exact().best(each)
        (query, item, products), (highest, total) = self._looked_at, self._total
        chance = self.weight[query] * np.exp(products - highest[query]) / total[query]
        if self.outside is not None:
            size = len(self.nearest.vectors)
            more = np.sort(self.outside.best(each) + np.arange(len(self.queries))[:, None] * size, axis=1).ravel()
            others, others_item = np.divmod(more[~_is_in(query * size + item, more)], size)
            chance = np.concatenate([chance + self.outside.at(query, item), self.at(others, others_item)])
            query, item = np.concatenate([query, others]), np.concatenate([item, others_item])
            by_query = np.argsort(query, kind="stable")
            query, item, chance = query[by_query], item[by_query], chance[by_query]
        start = np.searchsorted(query, np.arange(len(self.queries) + 1))
        place = np.arange(len(query)) - start[query]
        wide = np.full((len(self.queries), int(np.diff(start).max(initial=each))), -np.inf)
        wide[query, place] = chance
        nth = np.argpartition(-wide, each - 1, axis=1)[:, :each]  # each query has FOUND items at least
        return item[start[:-1, None] + nth]

    def at(self, query: Ints, item: Ints) -> Floats:
        highest, total = self._total
        chance = self.weight[query] * np.exp(self._products(query, item) - highest[query]) / total[query]
        return chance if self.outside is None else chance + self.outside.at(query, item)

    def table(self) -> Floats:
        return self.exact().table()

    def log_powers(self, query: Ints, target: Ints) -> Floats:
        return self.exact().log_powers(query, target)

    def ranks(self, query: Ints, target: Ints) -> Ints:
        return self.exact().ranks(query, target)

    @cached_property
    def _looked_at(self) -> tuple[Ints, Ints, Floats]:
        """(n,) query, item and product, by query, then by item; each once."""
        size, first = len(self.nearest.vectors), np.arange(len(self.queries))[:, None] * len(self.nearest.vectors)
        query, item = self.nearest.find(self.queries)
        key = [query * size + item, _keys(self.inside, size)]
        if len(query) < FOUND * len(self.queries):  # groups that hold fewer
            key.append((first + np.arange(min(FOUND, size))).ravel())
        query, item = np.divmod(np.unique(np.concatenate(key)), size)
        return query, item, self._products(query, item)

    @cached_property
    def _total(self) -> tuple[Floats, Floats]:
        """(q,) the largest product, and the total of all after it is taken off, as exponentials."""
        query, item, products = self._looked_at
        start = np.searchsorted(query, np.arange(len(self.queries)))
        highest = np.maximum.reduceat(products, start)
        total = np.add.reduceat(np.exp(products - highest[query]), start)
        sample = self.nearest.sample
        others = np.exp(self.queries @ self.nearest.vectors[sample].T - highest[:, None].astype(np.float32))
        place = np.minimum(np.searchsorted(sample, item), len(sample) - 1)
        drawn = sample[place] == item
        others[query[drawn], place[drawn]] = 0
        stand_for = len(sample) - np.bincount(query[drawn], minlength=len(total))
        unseen = len(self.nearest.vectors) - np.bincount(query, minlength=len(total))
        return highest, total + others.sum(axis=1, dtype=np.float64) * unseen / np.maximum(stand_for, 1)

    def _products(self, query: Ints, item: Ints) -> Floats:
        """(n,) with what `inside` adds."""
        products = np.einsum("nd,nd->n", self.queries[query], self.nearest.vectors[item]).astype(np.float64)
        if self.inside.nnz:
            size = len(self.nearest.vectors)
            keys, key = _keys(self.inside, size), query * size + item
            place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            products += np.where(keys[place] == key, self.inside.data[place], 0)
        return products


def _keys(rows: csr_array, size: int) -> Ints:
    """(nnz,) row · size + column; ascending where `rows` is sorted."""
    return np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.indptr)) * size + rows.indices


def _is_in(keys: Ints, asked: Ints) -> Bools:
    """(n,) whether each of `asked` is among `keys`, which are ascending."""
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.asarray(keys[place] == asked)
