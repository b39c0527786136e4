"""A product's trade item numbers (GTIN: EAN, UPC, ISBN), and the known products whose numbers lie next to its own.

A maker numbers a range in a row, so that products whose numbers are neighbours often cost alike. A number is one by its
attribute's name and by its check digit (GS1 General Specifications, 7.9).

Example:
    >>> read({"ean": "0095205603217, 5055288404878", "upc": "not known", "weight": 450.0})
    {'ean': (9520560321, 505528840487)}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from triad.arrays import Floats, Ints
from triad.products.attributes import Value

COUNT, REACH, WIDTH = 8, 24, 10
"""Neighbours that are read; numbers on either side among which they are looked for; columns."""
_NAMED = re.compile(r"(?<![a-z])(gtin|ean|upc|isbn|bar ?code)(?![a-z])")


def read(attributes: Mapping[str, Value]) -> dict[str, tuple[int, ...]]:
    """Names of attributes that hold numbers, and these in order without their check digit."""
    told = {}
    for name, value in attributes.items():
        if _named(name):
            texts = [f"{value:.0f}"] if isinstance(value, float) else re.split(r"[,;/\s]+", value.replace("-", ""))
            if numbers := {int(text) // 10 for text in texts if _holds(text)}:
                told[name] = tuple(sorted(numbers))
    return told


@lru_cache(10_000)
def _named(name: str) -> bool:
    return _NAMED.search(name.replace("_", " ")) is not None


def _holds(text: str) -> bool:
    """Whether `text` is a number whose check digit is right; tables that keep it as a number lose its first zeros."""
    if not re.fullmatch(r"[0-9]{8,14}", text) or not int(text):
        return False
    digits = [int(each) for each in text.zfill(14)]
    return (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10 == 0


@dataclass(frozen=True)
class Numbered:
    """(m,) the numbers of known products in order, and whose each is."""

    number: Ints
    owner: Ints

    @classmethod
    def of(cls, numbers: Sequence[Sequence[int]]) -> Numbered:
        """Of each known product."""
        number, owner = _flat(numbers)
        order = np.argsort(number, kind="stable")
        return cls(number[order], owner[order])

    def each(self, count: int) -> list[tuple[int, ...]]:
        """(count,) of each known product, as `of` was given them."""
        told: list[list[int]] = [[] for _ in range(count)]
        for number, owner in zip(self.number.tolist(), self.owner.tolist(), strict=True):
            told[owner].append(number)
        return [tuple(numbers) for numbers in told]

    def near(self, numbers: Sequence[Sequence[int]], own: Ints) -> tuple[Ints, Floats]:
        """(n, COUNT) the known products nearest by number, -1 where there are no more, and how far each is, NaN there.

        Args:
            own: (n,) which known product each is itself; -1 for none.
        """
        rows, steps = np.full((len(numbers), COUNT), -1), np.full((len(numbers), COUNT), np.nan)
        if not len(self.number):
            return rows, steps
        number, asked = _flat(numbers)
        window = np.searchsorted(self.number, number)[:, None] + np.arange(-REACH, REACH)
        kept = (window >= 0) & (window < len(self.number))
        window = np.where(kept, window, 0)
        kept &= self.owner[window] != own[asked][:, None]
        row, step = self.owner[window][kept], np.abs(self.number[window] - number[:, None])[kept]
        who = np.broadcast_to(asked[:, None], kept.shape)[kept]
        order = np.lexsort((step, row, who))  # a product may have several numbers: the nearest of them counts
        order = order[(np.diff(who[order], prepend=-1) != 0) | (np.diff(row[order], prepend=-1) != 0)]
        order = order[np.lexsort((row[order], step[order], who[order]))]
        who, row, step = who[order], row[order], step[order]
        place = np.arange(len(who)) - np.searchsorted(who, who)
        first = place < COUNT
        rows[who[first], place[first]], steps[who[first], place[first]] = row[first], step[first]
        return rows, steps

    def columns(self, numbers: Sequence[Sequence[int]], own: Ints, label: Floats) -> Floats:
        """(n, WIDTH) NaN for a product without a number: what its neighbours cost, how near they are, its own number.

        Args:
            own: as for `near`.
            label: of the known products.
        """
        row, step = self.near(numbers, own)
        columns = np.full((len(numbers), WIDTH), np.nan)
        for place, each in enumerate(numbers):
            if each:
                columns[place, -2:] = len(each), each[0]
        there = row[:, 0] >= 0
        cost, far = np.where(row < 0, np.nan, label[row])[there], step[there]
        weight = 1 / (1 + far)
        five = cost[:, :5]
        columns[there, :-2] = np.column_stack(
            [
                np.nansum(weight * cost, axis=1) / np.nansum(weight, axis=1),
                *cost[:, :2].T,
                np.nanmedian(five, axis=1),
                np.nanstd(five, axis=1),
                *np.log2(1 + far[:, [0, 1, 4]]).T,
            ]
        )
        return columns

    def save(self, folder: Path) -> None:
        """One file."""
        np.save(folder / "numbered.npy", np.stack([self.number, self.owner]), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Numbered:
        """What `save` wrote."""
        return cls(*np.load(folder / "numbered.npy", allow_pickle=False))


def apart(one: Sequence[Sequence[int]], two: Sequence[Sequence[int]]) -> Floats:
    """(n,) log2 of 1 + the least difference between the numbers of either; NaN where one has none."""
    pairs = zip(one, two, strict=True)
    least = [min((abs(own - each) for own in these for each in those), default=np.nan) for these, those in pairs]
    return np.log2(1 + np.array(least, np.float64))


def _flat(numbers: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """All numbers, and whose each is."""
    count = np.array([len(each) for each in numbers], np.int64)
    return np.array([each for every in numbers for each in every], np.int64), np.repeat(np.arange(len(count)), count)
