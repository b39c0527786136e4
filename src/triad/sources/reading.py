"""A table's files as Arrow pieces with row numbers: the one reader of CSV and Parquet, for shops and studies.

CSV columns come as text, Parquet columns in their own types. Nothing is held whole: what reads a piece decides what
stays of it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from fsspec.implementations.local import LocalFileSystem

from triad.config.files import LimitsParams, TableParams
from triad.errors import TriadError
from triad.progress import Progress
from triad.sources import parquet
from triad.sources.base import ROW, SPACE, Part, few, no_column
from triad.sources.cells import quote
from triad.sources.packed import Place, Unpacked, explained, opened
from triad.sources.places import Format, find
from triad.sources.records import Dialect, Records

log = logging.getLogger("triad.ingest")


@dataclass
class Files:
    """The files of one table. `first_rows` and `contents` grow while they are read.

    Args:
        has_twin: whether other files, that are read elsewhere, may hold the same.
        contents: the digest of what a file holds → its name.
    """

    places: list[Place]
    format: Format
    dialect: Dialect
    limits: LimitsParams
    has_twin: bool = False
    first_rows: list[int] = field(default_factory=list)
    contents: dict[bytes, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The params key of the table."""
        return self.dialect.where

    @property
    def is_ordered(self) -> bool:
        """Files come in the order of their names."""
        return True

    @property
    def name(self) -> str:
        """The file, or the first and how many more, as it may be printed."""
        more = f" and {len(self.places) - 1:,} more" if len(self.places) > 1 else ""
        return self.places[0].name + more

    def place(self, row: int) -> tuple[str, int]:
        """The file that holds a row, and the row's number in it, from 1 for the first below the header."""
        number = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return self.places[number].name, row - self.first_rows[number] + 1

    def names(self) -> list[str]:
        """The columns of the first file.

        Raises:
            TriadError: it cannot be read.
        """
        place = self.places[0]
        with opened(place, self.limits.unpacked_ratio) as stream:
            if self.format == "parquet":
                with _readable(place):
                    return parquet.names(stream.raw)
            records = Records(stream.read, self.dialect, place.name)
            next(iter(records), None)
            return list(records.header)

    def parts(self) -> Sequence[Part]:
        """The files. A file is another version whenever its file system says that it was written."""
        return [
            Part(place.identity, place.version(), f"{quote(ROW)} BETWEEN {first} AND {first + SPACE - 1}", first)
            for first, place in zip(range(0, SPACE * len(self.places), SPACE), self.places, strict=True)
        ]

    def pieces(self, columns: Sequence[str], known: Collection[str] | None = None) -> Iterator[pa.Table]:
        """The named columns, piece by piece, with `ROW` beside them.

        Args:
            columns: of the files.
            known: the files that are not to be read (`Part.name`); None: rows are numbered without gaps.

        Raises:
            TriadError: a file cannot be read, has not each column once, or holds the same as another.
        """
        self.first_rows.clear()
        self.contents.clear()
        read = self._parquet if self.format == "parquet" else self._csv
        row = 0
        sizes = {place.path: int(place.system.size(place.path) or 0) for place in self.places}
        with Progress(f"read {self.where}", sum(sizes.values()) >> 10, "KiB") as progress:
            for number, place in enumerate(self.places):
                row = row if known is None else number * SPACE
                self.first_rows.append(row)
                done = 0
                if known and place.identity in known:
                    progress.advance(sizes[place.path] >> 10)
                    self.refuse_copies(place, known)
                    continue
                with opened(place, self.limits.unpacked_ratio) as stream:
                    for batch in read(place, stream, columns):
                        numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                        yield batch.append_column(ROW, numbers)
                        row += batch.num_rows
                        progress.advance((stream.taken >> 10) - done)
                        done = stream.taken >> 10

    def alone(self) -> list[Files]:
        """Each file by itself."""
        sizes = [place.system.size(place.path) for place in self.places]
        often = Counter(sizes)
        return [
            Files([place], self.format, self.dialect, self.limits, often[size] > 1)
            for place, size in zip(self.places, sizes, strict=True)
        ]

    def _csv(self, place: Place, stream: Unpacked, columns: Sequence[str]) -> Iterator[pa.Table]:
        records = Records(stream.read, self.dialect, place.name)
        pieces = iter(records)
        first = next(pieces, b"")
        self._check_header(place, records.header, columns)
        rows = 0
        for piece in chain([first] if first else [], pieces):
            try:
                table = self._parsed(piece, records.header, columns)
            except pa.ArrowException:  # its text holds the line
                table = None
            if table is None:
                raise records.misfits(piece)
            rows += table.num_rows
            yield table
        _note(place, rows, records.several)
        if rows:
            refuse_twin(self.contents, records.digest.digest(), place.name)

    def _parsed(self, piece: bytes, header: Sequence[str], columns: Sequence[str]) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(piece),
            read_options=arrow_csv.ReadOptions(column_names=list(header), block_size=len(piece)),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.dialect.sign,
                quote_char=self.dialect.quote or False,
                newlines_in_values=True,
                ignore_empty_lines=len(header) > 1,  # in a file of one column an empty line is an empty cell
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(columns),
                column_types={name: pa.string() for name in columns},  # all as text: an id 007 is no 7
                null_values=list(self.dialect.null_values),
                strings_can_be_null=True,
            ),
        )

    def _parquet(self, place: Place, stream: Unpacked, columns: Sequence[str]) -> Iterator[pa.Table]:
        if stream.is_packed:
            raise TriadError("is packed Parquet", where=place.name, mend="unpack it: Parquet packs its columns itself")
        sizes = [other.system.size(other.path) for other in self.places] if len(self.places) > 1 else []
        rows = 0
        with _readable(place):
            self._check_header(place, parquet.names(stream.raw), columns)
            if (self.has_twin or sizes.count(place.system.size(place.path)) > 1) and parquet.count(stream.raw):
                refuse_twin(self.contents, _digest(stream.raw), place.name)
            for batch in parquet.batches(stream.raw, columns, self.limits, place.name, self.where):
                rows += batch.num_rows
                yield pa.table(batch)
        _note(place, rows, 0)

    def refuse_copies(self, kept: Place, known: Collection[str]) -> None:
        """A file that is to be read may hold the same as one that is kept: then their sizes are the same.

        Files without a row are no copies: two days can be empty.
        """
        size = kept.system.size(kept.path)
        same = [each for each in self.places if each.identity not in known and each.member is None]
        same = [each for each in same if kept.member is None and each.system.size(each.path) == size]
        digests: dict[bytes, str] = {}
        for place in (kept, *same) if same and self._has_rows(kept) else ():
            with opened(place, self.limits.unpacked_ratio) as stream:
                refuse_twin(digests, _digest(stream.raw), place.name)

    def _has_rows(self, place: Place) -> bool:
        with opened(place, self.limits.unpacked_ratio) as stream:
            if self.format == "parquet":
                with _readable(place):
                    return parquet.count(stream.raw) > 0
            return any(piece.strip(b"\r\n") for piece in Records(stream.read, self.dialect, place.name))

    def _check_header(self, place: Place, header: Sequence[str], columns: Sequence[str]) -> None:
        for name in columns:
            times = list(header).count(name)
            where = f"{place.name}, column {name}"
            if times > 1:
                mend = "name each column once in the header"
                raise TriadError(f"{times} columns have this name", where=where, mend=mend)
            if times:
                continue
            error = no_column(name, header, place.name, self.where)
            is_near = error.mend.startswith("did you mean")
            if self.format == "csv" and not is_near and not set(columns) & set(header):
                what = f"is none of the {len(header):,} cells of the first line, nor is any other column asked for"
                mend = f"see whether the file has a header, and whether {self.where}.delimiter is right"
                raise TriadError(what, where=where, mend=mend)  # a row of data may stand there
            raise error


def locate(params: TableParams, where: str) -> Files:
    """The files that `params.path` names, in the order of their names; `where` is the params key of the table.

    Raises:
        TriadError: they cannot be found, or it is not clear what they are.
    """
    dialect = Dialect(
        where,
        encoding=params.encoding,
        delimiter=params.delimiter,
        quote=params.quote,
        multiline=params.multiline,
        null_values=params.null_values,
    )
    form: Format | None = "csv" if params.format == "csv" else "parquet" if params.format == "parquet" else None
    return _files(params.path or "", form, dialect, params.limits)


def locate_file(path: Path, form: Format, dialect: Dialect, limits: LimitsParams) -> Files:
    """The file at `path`, or, of an archive, what it holds.

    Raises:
        TriadError: it is not there, or it is not clear what it is.
    """
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend=f"correct {dialect.where}, or the folder it lies in")
    return _files(str(path), form, dialect, limits)


def read_text(path: Path, where: str) -> str:
    """The whole text of a small file, compressed or not by its ending; `where` is the params key that names it.

    Raises:
        TriadError: it is not there, cannot be unpacked, or is not UTF-8.
    """
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend=f"correct {where}, or the folder it lies in")
    with opened(Place(LocalFileSystem(), str(path), str(path)), LimitsParams().unpacked_ratio) as stream:
        try:
            return stream.read().decode()
        except UnicodeDecodeError as error:
            what = f"is not UTF-8 text: {error.reason} at byte {error.start:,}"
            raise TriadError(what, where=str(path), mend="save it as UTF-8") from None


def _files(path: str, form: Format | None, dialect: Dialect, limits: LimitsParams) -> Files:
    places, form, left = find(path, dialect.where, form, limits.files)
    if left:
        log.info("%s: not read as data: %s", dialect.where, few(left))
    return Files(places, form, replace(dialect, record_bytes=limits.record_bytes, most_columns=limits.columns), limits)


def _note(place: Place, rows: int, several: int) -> None:
    log.info("read %s: %s rows%s", place.name, f"{rows:,}", f", {several:,} over several lines" if several else "")


def refuse_twin(contents: dict[bytes, str], digest: bytes, name: str) -> None:
    """Note that the file `name` holds what has this digest.

    Raises:
        TriadError: another one does, too.
    """
    other = contents.setdefault(digest, name)
    if other != name:
        raise TriadError(f"holds the same as {other}", where=name, mend="take one of them away")


def _digest(file: IO[bytes]) -> bytes:
    digest = hashlib.blake2b()
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.digest()


@contextmanager
def _readable(place: Place) -> Iterator[None]:
    """Turns what Arrow raises on a broken Parquet file into what its owner can act on."""
    try:
        with explained(place.name):
            yield
    except pa.ArrowException as error:
        what = f"cannot be read as parquet ({type(error).__name__})"
        mend = "copy it again if it is cut short; else write it anew"
        raise TriadError(what, where=place.name, mend=mend) from None
