"""An approximate index over products' vectors, for catalogues so large that a query's products with all cost most.

It is faiss's inverted file (Douze et al. 2024, arXiv:2401.08281): vectors lie in groups, and a query looks through the
groups that are nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints

FROM = 200_000
"""Products from which on vectors are looked for by the index."""
FOUND = 256
"""Products that it names for a query."""
LOOKED = 96
"""Groups that a query looks through, of twice the square root of the number of products."""


@dataclass(frozen=True)
class Index:
    """Over (n, dim) vectors; the nearest have the largest products."""

    groups: Any

    @classmethod
    def of(cls, vectors: Floats, seed: int = 1) -> Index:
        """Groups are learned by k-means, the same for one `seed`."""
        import faiss

        vectors = np.ascontiguousarray(vectors, np.float32)
        count = max(1, int(2 * len(vectors) ** 0.5))
        made = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], count, faiss.METRIC_INNER_PRODUCT
        )
        made.cp.seed, made.cp.niter, made.cp.max_points_per_centroid = seed, 5, 64
        made.train(vectors)
        made.add(vectors)
        made.nprobe = LOOKED
        return cls(made)

    def find(self, queries: Floats, count: int = FOUND) -> tuple[Ints, Floats]:
        """(q, count) products and their products with the query, largest first; -1 and 0 where groups hold fewer."""
        products, nearest = self.groups.search(np.ascontiguousarray(queries, np.float32), count)
        return nearest, np.where(nearest >= 0, products, 0)
