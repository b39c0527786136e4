"""Columns of products: what is like a product by what prices follow, and that no label speaks for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from triad.members.product_columns import GROUPS, Columns
from triad.members.product_numbers import Lesson
from triad.products.space import Said
from triad.texts import Texts

METALS = np.array(["tin", "copper", "silver", "gold"])


def rings(count: int, seed: int) -> Lesson:
    """Rings called by a metal, which is their price, among eight of forty names, which say nothing."""
    random = np.random.default_rng(seed)
    metal, names = random.integers(0, 4, count), random.integers(10, 50, (count, 8))
    titles = [f"{' '.join(f'no{n}' for n in row)} {METALS[each]}" for row, each in zip(names, metal, strict=True)]
    said = [Said(title, "", "", "", {}) for title in titles]
    return Lesson(Texts.of([f"{seed}-{n}" for n in range(count)]), said, 5.0 + metal)


def test_comparables_by_what_prices_follow_cost_the_same(tmp_path: Path) -> None:
    train, later = rings(300, 1), rings(60, 2)
    columns, table = Columns.fit(train)
    first = columns.axes.shape[1] + 1 + len(GROUPS)
    for told, label in ((table, train.label), (columns.of(later.products), later.label)):
        by_price, by_words = (np.abs(told[:, place] - label).mean() for place in (first, first + 4))
        assert by_price < 0.3 * by_words, (by_price, by_words)
        assert told.shape[1] == len(columns.names)
    columns.save(tmp_path)
    np.testing.assert_array_equal(Columns.load(tmp_path).of(later.products), columns.of(later.products))


def test_no_column_of_a_known_product_says_what_it_costs() -> None:
    train = rings(60, 1)
    moved = train.label.copy()
    moved[7] += 3
    rows = [Columns.fit(each)[1] for each in (train, replace(train, label=moved))]
    np.testing.assert_array_equal(rows[0][7], rows[1][7])
    assert not np.array_equal(*rows)


def test_products_that_all_cost_the_same_have_columns() -> None:
    train = rings(30, 1)
    columns, table = Columns.fit(replace(train, label=np.full(30, 6.0)))
    known = table[:, : columns.axes.shape[1] + 1 + len(GROUPS) + 4]
    assert np.isfinite(known).all() and np.allclose(columns.of(rings(5, 2).products)[:, known.shape[1] - 4], 6.0)
