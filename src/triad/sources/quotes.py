"""Where quotes in CSV text open and close, and whether that is plausible.

A parser follows quotes wherever they lead: a title that begins with an inch sign takes the lines below it along, up to
the next quote, and nothing fails. Two rules find that. A quote that closes a value stands before a delimiter or a
line's end (RFC 4180). And where a value spans lines, these lines must not read, quotes aside, like records (`Look`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_FIGURES = re.compile(r"[-+(]?[^\w\s]?\d[-+\d.,:/ TZ%)€$£]*")  # numbers, dates, times, amounts
_WORD = re.compile(r"\S+")


class StrayError(Exception):
    """A quote at `opened` opens a value that ends at `closed` in the midst of a cell, or nowhere."""

    def __init__(self, opened: int, closed: int | None) -> None:
        super().__init__(opened, closed)
        self.opened, self.closed = opened, closed


@dataclass(frozen=True)
class Record:
    """Where a record lies in the text, and its quoted values that hold line ends."""

    start: int
    stop: int  # behind its line end
    spans: tuple[tuple[int, int], ...]

    def lines(self, text: bytes, delimiter: str) -> list[list[str]]:
        """The cells of each of its lines that is not empty, as if quotes were characters like others."""
        lines = re.split("\r\n?|\n", text[self.start : self.stop].decode())
        return [line.split(delimiter) for line in lines if line]

    def lines_have(self, text: bytes, cells: int, delimiter: str) -> bool:
        """Whether each of its lines has so many cells."""
        return all(len(line) == cells for line in self.lines(text, delimiter))


class Quotes:
    """The rules for one quote sign and one delimiter, both of one byte."""

    def __init__(self, sign: str, delimiter: str) -> None:
        self._sign, self._delimiter = sign.encode(), delimiter.encode()
        quote, cut = re.escape(self._sign), re.escape(self._delimiter)
        self._next = re.compile(rb"(?:(?<=[%b\r\n])|\A)%b|\r\n?|\n" % (cut, quote))
        self._quoted = re.compile(rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % ((quote,) * 6))
        self._edge = np.zeros(256, bool)  # bytes beside which a quote may open or close a value
        self._edge[[self._delimiter[0], *b"\r\n"]] = True

    def record(self, text: bytes, start: int, end: int, *, last: bool) -> Record | None:
        """The record that begins at `start`; None where `text[:end]` does not hold all of it.

        Raises:
            StrayError: a quote closes in the midst of a cell, or, in the `last` text, never.
        """
        spans: list[tuple[int, int]] = []
        at = start
        while sign := self._next.search(text, at, end):
            if sign[0] != self._sign:
                if sign[0] == b"\r" and sign.end() == end and not last:
                    return None  # its LF may be still to come
                return Record(start, sign.end(), tuple(spans))
            quoted = self._quoted.match(text, sign.start(), end)
            if quoted is None:
                if last:
                    raise StrayError(sign.start(), None)
                return None
            at = quoted.end()
            if at < end and not self._edge[text[at]]:
                raise StrayError(sign.start(), at)
            if b"\n" in quoted[0] or b"\r" in quoted[0]:
                spans.append(quoted.span())
        return Record(start, end, tuple(spans)) if last else None

    def several(self, text: bytes, ends: Ints, *, last: bool) -> tuple[list[Record], int]:
        """The records over several lines, and where the whole records end.

        Args:
            text: begins with a record.
            ends: (n_lines,) where each line ends, behind its line end.
            last: whether nothing follows.

        Raises:
            StrayError: as `record`.
        """
        records: list[Record] = []
        stop = int(ends[-1])
        done = 0
        for start in self._irregular(text, ends):
            if start < done:
                continue  # within a record that began before
            record = self.record(text, start, stop, last=last)
            if record is None:
                return records, start
            if record.spans:
                records.append(record)
            done = record.stop
        return records, stop

    def _irregular(self, text: bytes, ends: Ints) -> list[int]:
        """Where the lines begin whose quotes do not open and close cell by cell within the line."""
        data = np.frombuffer(text, np.uint8, int(ends[-1]))
        at = np.flatnonzero(data == self._sign[0])
        if not len(at):
            return []
        line = np.searchsorted(ends, at, side="right")
        place = np.arange(len(at))
        begins = np.r_[True, line[1:] != line[:-1]]  # a line's first quote
        closes = (place - np.maximum.accumulate(np.where(begins, place, 0))) % 2 == 1
        padded = np.r_[np.uint8(10), data, np.uint8(10)]
        can_open = self._edge[padded[at]]
        twin = np.r_[False, np.diff(at) == 1]  # two in a row within a value are one that is meant: closed, opened again
        fits = np.where(closes, self._edge[padded[at + 2]] | np.r_[twin[1:], False], can_open | twin)
        unclosed = ~closes & np.r_[begins[1:], True]
        irregular = np.zeros(len(ends), bool)
        irregular[line[~fits | unclosed]] = True
        opening = np.zeros(len(ends), bool)
        opening[line[can_open]] = True  # in others, quotes are characters like others
        starts = np.r_[0, ends[:-1]]
        return [int(start) for start in starts[irregular & opening]]


class Look:
    """How the cells of each column look in records that are above suspicion.

    A column of figures alone, or of single words, tells a record from a line of prose; a column of free text tells
    nothing. Of the cells that could tell, half are enough for a record: a cell can be odd.

    Args:
        rows: cells of such records, as many each as the header has.
        cells: how many that is.
    """

    def __init__(self, rows: Sequence[Sequence[str]], cells: int) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [()] * cells
        filled = [[cell for cell in column if cell] for column in columns]
        self._may_be_empty = [len(some) < len(column) for some, column in zip(filled, columns, strict=True)]
        self._pattern = [
            next((p for p in (_FIGURES, _WORD) if some and all(map(p.fullmatch, some))), None) for some in filled
        ]

    def fits(self, text: bytes, record: Record, sign: str, delimiter: str) -> bool:
        """Whether a record over several lines, each of as many cells as the header, is made of records."""
        cells = [
            (column, cell.strip(sign)) for line in record.lines(text, delimiter) for column, cell in enumerate(line)
        ]
        # the cells before the first such value and behind the last are of this record whatever its quotes mean
        before = text[record.start : record.spans[0][0]].decode().count(delimiter)
        behind = text[record.spans[-1][1] : record.stop].decode().count(delimiter)
        verdicts = [self._tells(column, cell) for column, cell in cells[before : len(cells) - behind]]
        return verdicts.count(True) >= verdicts.count(False)

    def _tells(self, column: int, cell: str) -> bool | None:
        """Whether a cell looks as the column's do; None where that says nothing."""
        pattern = self._pattern[column]
        if pattern is None or (not cell and self._may_be_empty[column]):
            return None
        return bool(pattern.fullmatch(cell))
