"""The files of a log, each read and converted by itself, by workers that see them: a cluster's, say.

Their rows are put together here, in the order of the files. All that joins files is done on them afterwards, as on rows
that were read here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from triad.config.files import FilesParams
from triad.errors import TriadError
from triad.sources.base import ROW, SPACE
from triad.sources.cells import quote
from triad.sources.loading import Loading, set_up
from triad.sources.reading import Files, refuse_twin

log = logging.getLogger("triad.ingest")

AT_ONCE = 64
"""Files whose rows are in memory beside the table."""


@dataclass(frozen=True)
class Converted:
    """What was read of one file.

    Args:
        rows: as `Loading` makes them, `ROW` from 0; None: it cannot be read.
        types: of the pieces, as `Loading` notes them.
        contents: as `Files` notes them.
        error: what a `TriadError` says, by the names of its arguments.
    """

    rows: pa.Table | None
    types: list[dict[str, str]]
    contents: dict[bytes, str]
    error: dict[str, Any]


Workers = Callable[[Callable[[Files], Converted], Sequence[Files]], list[Converted]]
"""Does the work on each file, in order, wherever it likes."""


def bring(workers: Workers, loading: Loading, source: Files, columns: Sequence[str], known: Collection[str]) -> None:
    """Put the rows of all files but those `known` into the table of `loading`, numbered as `Files.pieces` does.

    Args:
        columns: of the source.
        known: files that need not be read (`Part.name`).

    Raises:
        TriadError: as of `Files.pieces`; where several files are at fault, that of the first.
    """
    work = partial(convert, loading.name, loading.files, loading.currency, tuple(columns))
    files, contents = source.alone(), dict[bytes, str]()
    source.first_rows[:] = range(0, SPACE * len(files), SPACE)
    kept = [place for place in source.places if place.identity in known]
    for place in kept:
        source.refuse_copies(place, known)
    fresh = [number for number, place in enumerate(source.places) if place.identity not in known]
    for start in range(0, len(fresh), AT_ONCE):
        numbers = fresh[start : start + AT_ONCE]
        for number, made in zip(numbers, workers(work, [files[number] for number in numbers]), strict=True):
            if made.error:
                raise TriadError(**made.error)
            for digest, name in made.contents.items():
                refuse_twin(contents, digest, name)
            for types in made.types:
                loading.note(types)
            if made.rows is not None:
                at = made.rows.column_names.index(ROW)
                loading.insert([made.rows.set_column(at, ROW, pc.add(made.rows[ROW], number * SPACE))])
            log.info("read %s: %s rows", files[number].name, f"{made.rows.num_rows if made.rows else 0:,}")


def convert(name: str, files: FilesParams, currency: str, columns: Sequence[str], source: Files) -> Converted:
    """Read one file of table `name`."""
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as session:
        set_up(session, spill)
        loading = Loading(session, name, files, currency)
        try:
            loading.add(source.pieces(columns, ()))
        except TriadError as error:
            told = {each: getattr(error, each) for each in ("what", "where", "mend", "transient")}
            return Converted(None, [], {}, told)
        rows = None
        if loading.types:
            rows = session.sql(f"FROM {name} ORDER BY {quote(ROW)}").to_arrow_table()
        return Converted(rows, loading.types, dict(source.contents), {})
