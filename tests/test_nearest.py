"""The approximate index: nearly the lists that products with all items give, and nearly their probabilities."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from triad.members.chances import Dense, Shares, Sparse, added
from triad.members.nearest import FOUND, Near, Nearest

ITEMS, DIM, QUERIES = 12_000, 16, 60


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    random = np.random.default_rng(0)
    centres = random.normal(size=(300, DIM))
    return Nearest.of(centres[random.integers(300, size=ITEMS)] + 0.5 * random.normal(size=(ITEMS, DIM)))


def few(random: np.random.Generator, scale: float) -> csr_array:
    """Three items of each query."""
    item = np.stack([random.choice(ITEMS, 3, replace=False) for _ in range(QUERIES)])
    pairs = np.repeat(np.arange(QUERIES), 3), np.sort(item, axis=1).ravel()
    return csr_array((scale * random.random(3 * QUERIES), pairs), shape=(QUERIES, ITEMS))


@pytest.mark.parametrize("outside", [True, False])
def test_an_index_gives_nearly_the_lists_of_all_products(nearest: Nearest, outside: bool) -> None:
    random = np.random.default_rng(1)
    queries = nearest.vectors[random.integers(ITEMS, size=QUERIES)] + 0.3 * random.normal(size=(QUERIES, DIM))
    queries = queries.astype(np.float32)
    inside, weight, rest = few(random, 9.0), np.full(QUERIES, 0.6), np.full(QUERIES, 0.4)
    beside = Sparse(few(random, 0.01), rest, Shares.of(random.dirichlet(np.full(ITEMS, 0.1)))) if outside else None
    products = queries @ nearest.vectors.T + inside.toarray()
    table = np.exp(products - products.max(axis=1, keepdims=True))
    table *= weight[:, None] / table.sum(axis=1, keepdims=True)
    if beside is not None:
        table = added(table + rest[:, None] * beside.shares.share, beside.rows)
    near = Near(nearest, queries, inside, weight, beside, lambda: Dense(table))

    found, wanted = near.best(40), np.argsort(-table, axis=1)[:, :40]
    assert found.shape == (QUERIES, 40) and all(len(set(row)) == 40 for row in found.tolist())
    recall = np.mean([len(set(a) & set(b)) / 40 for a, b in zip(found.tolist(), wanted.tolist(), strict=True)])
    assert recall > 0.95
    first = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), wanted[:, :10].tolist(), strict=True)])
    assert first > 0.98
    query, item = np.repeat(np.arange(QUERIES), 40), wanted.ravel()
    error = np.log(near.at(query, item) / table[query, item])
    assert np.abs(error).mean() < 0.05
    assert near.table() is table
    assert near.best(FOUND + 1).shape == (QUERIES, FOUND + 1)


def test_the_same_vectors_make_the_same_index(nearest: Nearest) -> None:
    queries = nearest.vectors[:50]
    for one, two in zip(nearest.find(queries), Nearest.of(nearest.vectors).find(queries), strict=True):
        np.testing.assert_array_equal(one, two)
