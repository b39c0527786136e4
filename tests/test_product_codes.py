"""Trade item numbers of products: which are read, whose are next to whose, and what that says of a price."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from triad.members.product_columns import CODED, Columns
from triad.members.product_numbers import Lesson
from triad.members.product_pairs import Paired
from triad.products.codes import COUNT, WIDTH, Numbered, apart, read
from triad.products.space import Said
from triad.texts import Texts


def gtin(number: int) -> str:
    """Of 13 digits."""
    digits = [int(each) for each in f"{number:012d}"]
    return f"{number:012d}{-(sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10}"


def ranges(count: int, seed: int) -> Lesson:
    """Things that are called alike; a price is that of the range of ten numbers that the thing is in."""
    random = np.random.default_rng(seed)
    number = 505528840000 + random.integers(0, 400, count)
    price = np.random.default_rng(0).normal(7, 1, 40)[(number - 505528840000) // 10]
    said = [
        Said(f"thing {word}", "", "", "", {"ean": gtin(int(each))})
        for each, word in zip(number, number % 7, strict=True)
    ]
    return Lesson(Texts.of([f"{seed}-{n}" for n in range(count)]), said, price)


@pytest.mark.parametrize(
    ("name", "value", "numbers"),
    [
        ("ean", "0095205603217, 5055288404878", (9520560321, 505528840487)),
        ("upc_code", 95205603217.0, (9520560321,)),  # a table that kept it as a number
        ("isbn", "978-3-16-148410-0", (978316148410,)),
        ("gtin13", "5055288404878/5055288404878", (505528840487,)),
        ("ean", "5055288404879", ()),  # its check digit is wrong
        ("ean", "not known", ()),
        ("ean", "0000000000000", ()),
        ("ean", 0.5, ()),
        ("barcode reader", "yes", ()),
        ("ocean", "5055288404878", ()),  # by chance: its name is of no number
    ],
)
def test_a_number_is_read_by_its_name_and_its_check_digit(
    name: str, value: str | float, numbers: tuple[int, ...]
) -> None:
    assert read({name: value}) == ({name: numbers} if numbers else {})
    said = Said("lamp", "", "", "", {name: value})
    assert said.codes == numbers
    assert any(each.startswith(f"{name}=") for each in said.facts) is not bool(numbers)  # what is no number is a word


def test_neighbours_are_by_the_nearest_of_several_numbers_and_never_the_product_itself() -> None:
    known = Numbered.of([(100, 900), (103,), (), (905,), (100,)])
    row, step = known.near([(100, 900), (), (904,)], np.array([0, 2, -1]))
    assert row[0, :3].tolist() == [4, 1, 3] and step[0, :3].tolist() == [0, 3, 5]
    assert row[1].tolist() == [-1] * COUNT and np.isnan(step[1]).all()
    assert row[2, :4].tolist() == [3, 0, 1, 4] and step[2, :2].tolist() == [1, 4] and (row[2, 4:] == -1).all()
    columns = known.columns([(100, 900), (), (904,)], np.array([0, 2, -1]), np.arange(5.0))
    assert columns.shape == (3, WIDTH) and np.isnan(columns[1]).all()
    assert columns[0, 0] == pytest.approx((4 + 1 / 4 + 3 / 6) / (1 + 1 / 4 + 1 / 6)) and columns[0, 1] == 4
    assert columns[0, -2:].tolist() == [2, 100]
    assert known.each(5) == [(100, 900), (103,), (), (905,), (100,)]
    assert apart([(100, 900), (7,)], [(903, 107), ()])[0] == 2 and np.isnan(apart([(7,)], [()])).all()


def test_a_price_follows_from_products_numbered_next_to_it(tmp_path: Path) -> None:
    train, later = ranges(300, 1), ranges(80, 2)
    paired = Paired.fit(train, later)
    missed = np.abs(paired.score(later.products) - later.label).mean()
    unnumbered = [replace(each, attributes={}) for each in later.products]
    assert missed < 0.5 * np.abs(paired.score(unnumbered) - later.label).mean()
    paired.save(tmp_path)
    np.testing.assert_array_equal(Paired.load(tmp_path).score(later.products), paired.score(later.products))


def test_no_column_by_numbers_says_what_the_product_itself_costs() -> None:
    train = ranges(60, 1)
    moved = train.label.copy()
    moved[7] += 3
    (columns, before), (_, after) = (Columns.fit(each) for each in (train, replace(train, label=moved)))
    coded = np.array([name == CODED for name in columns.names])
    np.testing.assert_array_equal(before[7, coded], after[7, coded])
    assert not np.array_equal(before[:, coded], after[:, coded])  # its neighbours are told what it costs


def test_a_shop_without_numbers_has_none_of_their_columns() -> None:
    train = ranges(60, 1)
    columns, table = Columns.fit(replace(train, products=[replace(each, attributes={}) for each in train.products]))
    coded = np.array([name == CODED for name in columns.names])
    assert coded.sum() == WIDTH and np.isnan(table[:, coded]).all()
    assert np.isnan(columns.of(train.products[:3])[:, coded][:, 0]).all()
