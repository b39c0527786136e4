"""Cuts CSV bytes into pieces of whole records, which Arrow then parses.

Lines, records and columns have limits, so that memory stays flat whatever a file holds. No message shows text of the
file: line numbers lead to it.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np

from triad.errors import TriadError
from triad.sources.quotes import Ints, Look, Quotes, Record, StrayError

_READ = 8 << 20  # bytes of a file, unpacked, at a time
_SEPARATOR = "\x1f"  # ASCII's own, which no text holds: for delimiters that are not one byte, as Arrow wants
_LOOKED_AT = 1_000  # records that tell how the columns look
_SHOWN = 3  # line numbers in a message


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and what it may hold at most. `where` is the params key that says so."""

    where: str
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str | None = '"'
    multiline: bool = False  # quoted values may hold lines that read like records
    null_values: tuple[str, ...] = ("",)
    header: tuple[str, ...] | None = None  # names, where the file has none
    record_bytes: int = 8 << 20
    most_columns: int = 5_000

    @property
    def sign(self) -> str:
        """The delimiter as the pieces have it."""
        return self.delimiter if self.delimiter.isascii() and len(self.delimiter) == 1 else _SEPARATOR

    def rows(self, text: bytes) -> Iterator[tuple[int, list[str]]]:
        """Each record's cells, and the number, from 1, of the line it ends on."""
        lines = io.StringIO(text.decode(), newline="")
        reader = csv.reader(lines, delimiter=self.sign, quotechar=self.quote, quoting=3 if self.quote is None else 0)
        before = csv.field_size_limit(len(text) + 1)  # of the process
        try:
            yield from ((reader.line_num, row) for row in reader)
        finally:
            csv.field_size_limit(before)


class Records:
    """The records of one file, to be iterated once.

    Args:
        read: gives up to that many bytes of the file, none at its end.
        dialect: how the file is written.
        name: the file, as it may be printed.
    """

    def __init__(self, read: Callable[[int], bytes], dialect: Dialect, name: str) -> None:
        self.header = dialect.header or ()  # known from the first piece on
        self.several = 0  # records over several lines
        self.digest = hashlib.blake2b(digest_size=16)  # of the text, however it is encoded and packed
        self._read, self._dialect, self._name = read, dialect, name
        self._quotes = Quotes(dialect.quote, dialect.sign) if dialect.quote else None
        self._others: list[list[str]] = []  # cells of records above suspicion, to tell how the columns look
        self._line = 1  # number of the one that begins the piece

    def __iter__(self) -> Iterator[bytes]:
        """UTF-8 text of one or more whole records below the header.

        Raises:
            TriadError: the text is not in its encoding, breaks the rules of quotes or a limit, or there is no header.
        """
        utf8 = self._dialect.encoding == "utf-8"
        decoder = codecs.getincrementaldecoder("utf-8-sig" if utf8 else self._dialect.encoding)()
        held, last = b"", False
        while not last:
            raw = self._read(_READ)
            last = not raw
            try:
                text = decoder.decode(raw, last)
            except UnicodeError as error:
                raise self._undecodable(held, error) from None
            if self._dialect.sign == _SEPARATOR:
                text = text.replace(self._dialect.delimiter, _SEPARATOR)
            new = text.encode()
            self.digest.update(new)
            held += new
            if b"\0" in new:
                raise self._error(
                    f"line {self._line_of(held, held.index(0))} holds a NUL byte",
                    "write the file anew; if it is UTF-16 text, set {where}.encoding: utf-16",
                )
            if not self.header:
                held = self._take_header(held, last)
            if self.header and (stop := self._whole(held, last)):
                yield held[:stop]
                self._line += len(_ends(held[:stop], True))
                held = held[stop:]
            if len(held) > self._dialect.record_bytes:
                raise self._too_long(self._line)
        if not self.header:
            raise self._error("the file is empty", "write it anew, with a header and rows")

    def misfits(self, piece: bytes) -> TriadError:
        """Why Arrow could not parse the piece that was given last."""
        cells = len(self.header)
        bad = [
            (self._line + line - 1, len(row)) for line, row in self._dialect.rows(piece) if row and len(row) != cells
        ]
        if not bad:
            return self._error(f"cannot be read as CSV from line {self._line} on", "write it anew")
        shown = ", ".join(f"line {line} has {count}" for line, count in bad[:_SHOWN])
        return self._error(
            f"{_counted(len(bad), 'record')} without the expected {cells} cells: {shown}",
            "mend or remove them; if all are affected, set {where}.delimiter",
        )

    def _take_header(self, held: bytes, last: bool) -> bytes:
        """Reads the first record that is not empty; what follows it."""
        start = len(held) - len(held.lstrip(b"\r\n"))
        stop = self._first_end(held, start, last)
        if not stop or start == len(held):
            return held
        self.header = tuple(next(self._dialect.rows(held[start:stop]))[1])
        if len(self.header) > self._dialect.most_columns:
            raise self._error(
                f"{len(self.header):,} columns, more than {self._dialect.most_columns:,}",
                "see whether {where}.delimiter is right; if they are meant, raise {where}.limits.columns",
            )
        self._line += len(_ends(held[:stop], True))
        return held[stop:]

    def _first_end(self, held: bytes, start: int, last: bool) -> int:
        if not self._quotes:
            ends = _ends(held, last)
            return int(ends[np.searchsorted(ends, start, side="right")]) if len(ends) and ends[-1] > start else 0
        try:
            record = self._quotes.record(held, start, len(held), last=last)
        except StrayError as stray:
            raise self._stray(held, stray) from None
        return record.stop if record else 0

    def _whole(self, held: bytes, last: bool) -> int:
        """Where the whole records of `held` end, which are found to be sound."""
        ends = _ends(held, last)
        if not len(ends):
            return 0
        lengths = np.diff(ends, prepend=0)
        if lengths.max() > self._dialect.record_bytes:
            raise self._too_long(self._line + int(lengths.argmax()))
        if not self._quotes:
            return int(ends[-1])
        try:
            several, stop = self._quotes.several(held, ends, last=last)
        except StrayError as stray:
            raise self._stray(held, stray) from None
        self.several += len(several)
        for record in several:
            if record.stop - record.start > self._dialect.record_bytes:
                raise self._too_long(self._line_of(held, record.start))
        if not self._dialect.multiline:
            self._check_lines(held, several, stop)
        return stop

    def _check_lines(self, held: bytes, several: list[Record], stop: int) -> None:
        """Whether values over several lines hold lines that read like records, which a stray quote has swallowed."""
        cells = len(self.header)
        sign, quote = self._dialect.sign, self._dialect.quote or ""
        suspects = [record for record in several if record.lines_have(held, cells, sign)]
        if more := _LOOKED_AT - len(self._others):
            cuts = [0, *chain.from_iterable((record.start, record.stop) for record in suspects), stop]
            rows = (row for a, b in list(pairwise(cuts))[::2] for _, row in self._dialect.rows(held[a:b]))
            self._others += islice((row for row in rows if len(row) == cells), more)
        if not suspects:
            return
        look = Look(self._others, cells)
        bad = [record for record in suspects if look.fits(held, record, quote, sign)]
        if bad:
            lines = [[self._line_of(held, at) for at in record.spans[0]] for record in bad[:_SHOWN]]
            shown = ", ".join(f"from line {opened} to {closed}" for opened, closed in lines)
            raise self._error(
                f"{_counted(len(bad), 'quoted value')} of several lines that read like records of their own: {shown}",
                "if a quote is no more than a character in this file, set {where}.quote: null; if one is stray, remove "
                "it or write it twice within quotes; if these values are right, set {where}.multiline: true",
            )

    def _line_of(self, held: bytes, at: int) -> int:
        return self._line + int(np.searchsorted(_ends(held, True), at, side="right"))

    def _stray(self, held: bytes, stray: StrayError) -> TriadError:
        opened = self._line_of(held, stray.opened)
        closed = "never closes"
        if stray.closed is not None:
            closed = f"closes in line {self._line_of(held, stray.closed)}, in the midst of a cell"
        return self._error(
            f"a quote opens a cell in line {opened} and {closed}",
            "if a quote is no more than a character in this file, set {where}.quote: null; else write each quote in a "
            "quoted cell twice",
        )

    def _too_long(self, line: int) -> TriadError:
        return self._error(
            f"the record that begins in line {line} is longer than {self._dialect.record_bytes:,} bytes",
            "see whether a quote in it is never closed, or the file has no line ends; if it is meant, raise "
            "{where}.limits.record_bytes",
        )

    def _undecodable(self, held: bytes, error: UnicodeError) -> TriadError:
        encoding = self._dialect.encoding
        detail = ""
        if isinstance(error, UnicodeDecodeError) and self._line_of(held, len(held)) == 1:
            for sign, kind, mend in _SIGNS:
                if error.object.startswith(sign):
                    return self._error(f"is {kind}, and not {encoding} text", mend)
        if isinstance(error, UnicodeDecodeError):
            first = self._line_of(held, len(held))
            before = error.object[: error.start].decode(encoding, "replace")
            detail = f": line {first + before.count(chr(10))} holds byte 0x{error.object[error.start]:02x}"
            if not encoding.startswith(("utf-16", "utf-32")):  # whose lines do not end at a byte
                lines = error.object.removesuffix(b"\n").split(b"\n")
                count = sum(not _decodable(line, encoding) for line in lines)
                detail += f"; {count:,} of lines {first} to {first + len(lines) - 1} cannot be read"
        return self._error(f"is not {encoding} text{detail}", "name the file's encoding, e.g. {where}.encoding: cp1252")

    def _error(self, what: str, mend: str) -> TriadError:
        return TriadError(what, where=self._name, mend=mend.replace("{where}", self._dialect.where))


_PACKED = "give it the name that its kind has (.gz, .bz2, .xz, .zip), or unpack it"
_SIGNS = (
    (b"\x1f\x8b", "packed by gzip", _PACKED),
    (b"BZh", "packed by bzip2", _PACKED),
    (b"\xfd7zXZ", "packed by xz", _PACKED),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "name an archive .zip; save a spreadsheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "save it as CSV"),
    (b"PAR1", "Parquet", "name it .parquet"),
    (b"\xff\xfe", "UTF-16 text", "set {where}.encoding: utf-16"),
    (b"\xfe\xff", "UTF-16 text", "set {where}.encoding: utf-16"),
)
"""How files begin that are no text, or text of another kind; what they are; how to mend it."""


def _ends(text: bytes, last: bool) -> Ints:
    """(n,) where each line ends, behind its line end: LF, CR LF, or CR as old files have it."""
    data = np.frombuffer(text, np.uint8)
    is_end = data == 10
    if b"\r" in text:
        is_end |= (data == 13) & np.r_[data[1:] != 10, last]  # the last one's LF may be still to come
    ends = np.flatnonzero(is_end) + 1
    return np.r_[ends, len(text)] if last and text and (not len(ends) or ends[-1] < len(text)) else ends


def _decodable(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
