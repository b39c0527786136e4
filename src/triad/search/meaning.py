"""What queries and products mean, beside what they say: cosines of their texts' vectors, over the whole catalogue.

A product has two vectors, of its title and of its description; where it has no description, its title stands for it.
From `index.FROM` products on, a query is compared with those alone that an approximate index names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.text import TextParams
from triad.search import index
from triad.search.index import Index
from triad.search.lexical import CELLS, kept
from triad.text.vectors import Vectors
from triad.texts import Texts

MEANT = (
    *("meant", "meant_lack", "meant_place"),
    *("meant_title", "meant_title_lack", "meant_description", "meant_description_lack"),
)
"""Cosine of both together, and of either; what each lacks of the query's highest; log of how many stand before."""


@dataclass(frozen=True)
class Meaning:
    """The vectors of one encoder."""

    vectors: Vectors

    @classmethod
    def chosen(cls, params: TextParams, corpus: Callable[[], Sequence[str]] | None = None) -> Meaning | None:
        """Of `text.encoder`; None where that has no vectors."""
        vectors = Vectors.chosen(params, corpus)
        return None if vectors is None else cls(vectors)

    def products(self, texts: Mapping[str, Texts]) -> Floats:
        """(2, n_items, dim): titles, descriptions."""
        vectors = kept(texts, f"vectors {self.vectors.encoder.fingerprint}", lambda: self._products(texts))
        assert isinstance(vectors, np.ndarray)
        return vectors

    def _products(self, texts: Mapping[str, Texts]) -> Floats:
        both = [_said(texts, name) for name in ("title", "description")]
        return np.stack([self.vectors.of(each, goes_along=True) for each in both])

    def blocks(self, texts: Mapping[str, Texts], queries: Sequence[str]) -> Iterator[tuple[slice, Floats]]:
        """(2, q, n_items) cosines of some queries at a time."""
        said, asked = self.products(texts), self.vectors.of(queries)
        step = max(1, CELLS // max(said.shape[1], 1))
        for start in range(0, len(queries), step):
            block = slice(start, start + step)
            yield block, np.einsum("qd,fid->fqi", asked[block], said, optimize=True)

    def near(self, texts: Mapping[str, Texts], queries: Sequence[str]) -> Iterator[Floats]:
        """(q, n_items) cosines of both together, of some queries at a time; 0 of what an index does not name."""
        if (near := self._index(texts)) is None:
            yield from (each.mean(axis=0) for _, each in self.blocks(texts, queries))
            return
        size, asked = len(texts["title"]), self.vectors.of(queries)
        step = max(1, CELLS // size)
        for start in range(0, len(queries), step):
            rows, products = near.find(asked[start : start + step])
            query, place = np.nonzero(rows >= 0)
            cosines = np.zeros((len(rows), size), np.float32)
            cosines[query, rows[query, place]] = products[query, place]
            yield cosines

    def _index(self, texts: Mapping[str, Texts]) -> Index | None:
        if len(texts["title"]) < index.FROM:
            return None
        name = f"index {self.vectors.encoder.fingerprint}"
        made = kept(texts, name, lambda: Index.of(self.products(texts).mean(axis=0)))
        assert isinstance(made, Index)
        return made

    def columns(self, texts: Mapping[str, Texts], queries: Sequence[str], query: Ints, item: Ints) -> Floats:
        """(n, `MEANT`) float32 of pairs by query."""
        if (near := self._index(texts)) is not None:
            return self._columns_by(near, self.products(texts), self.vectors.of(queries), query, item)
        table = np.zeros((len(query), len(MEANT)), np.float32)
        for block, cosines in self.blocks(texts, queries):
            first, last = np.searchsorted(query, [block.start, block.stop])
            here, at = item[first:last], query[first:last] - block.start
            parts = list[Floats]()
            for place, each in enumerate((cosines.mean(axis=0), *cosines)):
                parts += [each[at, here], each[at, here] - each.max(axis=1)[at]]
                if not place:
                    order = np.sort(each, axis=1)
                    before = [
                        order.shape[1] - np.searchsorted(order[q], each[q, i], side="right")
                        for q, i in zip(at, here, strict=True)
                    ]
                    parts.append(np.log1p(np.array(before, np.float64)))
            table[first:last] = np.stack(parts, axis=1)
        return table

    @staticmethod
    def _columns_by(near: Index, said: Floats, asked: Floats, query: Ints, item: Ints) -> Floats:
        """As `columns`, a query's highest and how many stand before being those of the products that `near` names."""
        table, nearest = np.zeros((len(query), len(MEANT)), np.float32), near.find(asked)[0]
        for number, vector in enumerate(asked):
            rows = slice(*np.searchsorted(query, [number, number + 1]))
            own, named = (said[:, items] @ vector for items in (item[rows], nearest[number][nearest[number] >= 0]))
            own, named = (np.vstack([each.mean(axis=0), each]) for each in (own, named))
            lack = np.minimum(own - named.max(axis=1, initial=-1)[:, None], 0)
            before = np.log1p((named[0][None] > own[0][:, None]).sum(axis=1))
            table[rows] = np.stack([own[0], lack[0], before, own[1], lack[1], own[2], lack[2]], axis=1)
        return table

    def save(self, folder: Path) -> None:
        """The encoder's files, and the products' vectors."""
        self.vectors.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Meaning | None:
        """What `save` wrote; None where it was not called."""
        vectors = Vectors.load(folder)
        return None if vectors is None else cls(vectors)


def _said(texts: Mapping[str, Texts], name: str) -> list[str]:
    return [own or title for own, title in zip(texts[name], texts["title"], strict=True)]
