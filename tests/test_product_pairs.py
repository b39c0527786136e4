"""The member `product_pairs`: products laid beside those that are like them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from triad.members.product_numbers import Lesson
from triad.members.product_pairs import COUNT, SEEDS, TREES, Paired, Side
from triad.members.product_plain import Known
from triad.products.space import Said
from triad.texts import Texts


def lengths(count: int, seed: int) -> Lesson:
    """Cables of four makers, dearer the longer they are: log price is the maker's, and half the log of the length."""
    random = np.random.default_rng(seed)
    maker, length = random.integers(0, 4, count), random.integers(1, 40, count)
    said = [
        Said(f"{name} cable", "", "cables", name, {"length": float(size), "plug": "usb" if size % 2 else "hdmi"})
        for name, size in zip(np.array(["Luma", "Pola", "Rand", "Tavo"])[maker], length, strict=True)
    ]
    return Lesson(Texts.of([f"{seed}-{n}" for n in range(count)]), said, 7.0 + maker + np.log(length) / 2)


def test_a_price_is_that_of_others_and_what_they_differ_by(tmp_path: Path) -> None:
    train, later = lengths(400, 1), lengths(60, 2)
    paired = Paired.fit(train, later)
    near = paired._near(paired.known, np.arange(len(train.label)))
    assert near.row.shape == (400, COUNT) and (near.row != np.arange(400)[:, None]).all()
    missed = np.abs(paired.score(later.products) - later.label).mean()
    assert missed < 0.1 < 2 * np.abs(Known.fit(train).score(later.products) - later.label).mean()
    paired.save(tmp_path)
    np.testing.assert_array_equal(Paired.load(tmp_path).score(later.products), paired.score(later.products))
    again = Paired.fit(train, None, paired)
    assert again.trees == paired.trees and len(again.boosters) == len(paired.boosters) == len(SEEDS)
    np.testing.assert_array_equal(again.score(later.products), paired.score(later.products))
    assert paired.score([]).shape == (0,) and np.isfinite(paired.score([Said("", "", "", "", {})])).all()


def test_pairs_say_what_both_say_alike() -> None:
    train = lengths(40, 1)
    paired = Paired.fit(train, None)
    assert paired.kinds == ("plug",) and paired.trees == max(TREES)
    agree = paired.known.agree(paired.known, np.roll(np.arange(40), 1))
    plugs = [each.attributes["plug"] for each in train.products]
    brands = [each.brand for each in train.products]
    for column, values in enumerate((brands, plugs)):
        assert agree[:, column].tolist() == [
            one == other for one, other in zip(values, np.roll(values, 1), strict=True)
        ]
    columns = paired.columns.known
    for part, own in zip(paired.known.parts, (columns.matrix, columns.called), strict=False):
        np.testing.assert_array_equal(part.toarray(), own.toarray())
    unknown = Side.of([Said("x", "", "", "Luma", {})], paired.columns, paired.known.table[:1], paired.kinds)
    assert np.isnan(unknown.agree(paired.known, np.array([0]))[0, 1])
