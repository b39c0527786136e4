"""Parts of a ranking: whoever asks for a few items or pairs gets what the whole table says of them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from triad.members.chances import Dense, Shares, Sparse, largest


def whole(random: np.random.Generator, items: int) -> tuple[Sparse, np.ndarray]:
    stands_out = random.random((6, items)) * (random.random((6, items)) < 0.1)
    stands_out[2] = 0
    rest, share = random.random(6), random.dirichlet(np.ones(items))
    return Sparse(csr_array(stands_out), rest, Shares.of(share)), stands_out + rest[:, None] * share


@pytest.mark.parametrize("items", [40, 5000])  # the best are searched for in parts where there are many
@pytest.mark.parametrize("sparse", [True, False])
def test_the_best_and_pairs_are_those_of_the_table(items: int, sparse: bool) -> None:
    few, table = whole(np.random.default_rng(0), items)
    chances = few if sparse else Dense(table)
    assert chances.table() == pytest.approx(table, rel=1e-6)
    best = chances.best(20)
    assert best.shape == (6, 20)
    for found, row in zip(best, table, strict=True):
        assert set(found.tolist()) == set(np.argsort(-row)[:20].tolist())
    query, item = np.nonzero(np.random.default_rng(1).random(table.shape) < 0.3)
    query, item = query[query != 4], item[query != 4]
    assert chances.at(query, item) == pytest.approx(table[query, item])


def test_equals_at_the_end_of_the_best_are_not_too_many() -> None:
    rows = np.zeros((2, 5000))
    rows[1, 4999] = rows[0, 7] = 1
    for found, highest in zip(largest(rows, 20).tolist(), (7, 4999), strict=True):
        assert len(set(found)) == 20 and highest in found


def test_of_a_catalogue_of_one_item_nothing_is_among_the_best() -> None:
    """There, candidates ask for one item fewer than there are."""
    assert largest(np.ones((1, 1)), 0).shape == largest(np.ones((1, 5000)), 0).shape == (1, 0)
    shares = Shares.of(np.ones(1))
    for own in (0.0, 0.5):
        assert Sparse(csr_array([[own]]), np.array([1.0]), shares).best(0).shape == (1, 0)


@pytest.mark.parametrize("shares", ["some", "none", "tiny"])
def test_powers_and_places_are_those_of_the_table(shares: str) -> None:
    random = np.random.default_rng(3)
    few, _ = whole(random, 300)
    share = few.shares.share.copy()
    if shares == "none":  # half of the catalogue was never taken
        share[::2] = 0
        few = Sparse(few.rows, np.where(np.arange(6) == 1, 0.0, few.rest), Shares.of(share))
    if shares == "tiny":
        share[::3] *= 1e-13
        few = Sparse(few.rows, few.rest, Shares.of(share))
    dense = Dense(few.rest[:, None] * share + few.rows.toarray())
    query = np.repeat(np.arange(6), 40)
    target = np.concatenate([random.choice(300, 40, replace=False) for _ in range(6)])
    np.testing.assert_array_equal(few.ranks(query, target), dense.ranks(query, target))
    assert few.log_powers(query, target) == pytest.approx(dense.log_powers(query, target), abs=1e-4)
