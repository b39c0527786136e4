"""Texts as sparse counts of words and letters. Columns are hashes: no word of any text is in what is kept.

A term counts 1 + log(times), times the logarithm of how rare it is; each half of a row has length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from triad.arrays import Floats, Ints
from triad.text.terms import terms

HASHED = 1 << 20
"""Columns that terms are hashed into, before those that no text has are left out."""


def words(text: str) -> list[str]:
    """Terms, and pairs of terms that follow one another."""
    single = terms(text)
    return [*single, *(f"{first} {second}" for first, second in pairwise(single))]


_READ = {
    "words": HashingVectorizer(analyzer=words, n_features=HASHED, norm=None, alternate_sign=False),
    "lines": HashingVectorizer(analyzer=str.splitlines, n_features=HASHED, norm=None, alternate_sign=False),
    "letters": HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=HASHED, norm=None, alternate_sign=False, lowercase=False
    ),
}


@dataclass(frozen=True)
class Bag:
    """Which hashed columns count, and how much.

    Args:
        column, rarity: of each of its kinds (m,), by name.
    """

    column: Mapping[str, Ints]
    rarity: Mapping[str, Floats]

    @classmethod
    def fit(cls, texts: Sequence[str], kinds: Sequence[str] = ("words", "letters")) -> Bag:
        """Of the terms of `texts`, which are in plain form."""
        column, rarity = {}, {}
        for kind in kinds:
            rows = np.bincount(_counts(kind, texts).indices, minlength=HASHED)
            column[kind] = np.flatnonzero(rows)
            rarity[kind] = np.log((1 + len(texts)) / (1 + rows[column[kind]])) + 1
        return cls(column, rarity)

    def matrix(self, texts: Sequence[str]) -> csr_array:
        """(n, columns) of texts in plain form."""
        parts = []
        for kind, column in self.column.items():
            counts = csr_array(_counts(kind, texts)[:, column], dtype=np.float64)
            counts.data = 1 + np.log(counts.data)
            parts.append(normalize(csr_array(counts * self.rarity[kind])) if len(column) else counts)
        return csr_array(hstack(parts, format="csr"))

    def save(self, folder: Path) -> None:
        """Write arrays into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for kind, column in self.column.items():
            np.savez(folder / f"{kind}.npz", column=column, rarity=self.rarity[kind])

    @classmethod
    def load(cls, folder: Path) -> Bag:
        """What `save` wrote."""
        column, rarity = {}, {}
        for kind in _READ:
            if (folder / f"{kind}.npz").is_file():
                with np.load(folder / f"{kind}.npz", allow_pickle=False) as held:
                    column[kind], rarity[kind] = held["column"], held["rarity"]
        return cls(column, rarity)


def _counts(kind: str, texts: Sequence[str]) -> csr_array:
    """(n, HASHED) counts."""
    return csr_array(_READ[kind].transform(texts)) if len(texts) else csr_array((0, HASHED))
