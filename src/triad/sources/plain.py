"""A table of a person's own, beside the shop's: CSV as it is usually written.

The shop's reader without its dials: where it would name one, the message says how the file is to be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from triad.config.files import LimitsParams
from triad.errors import TriadError
from triad.sources.base import ROW
from triad.sources.reading import locate_file
from triad.sources.records import Dialect


def pieces(path: Path, mend: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The named columns, or all, as text, piece by piece.

    The file is UTF-8 with a header; cells lie between commas, or tabs where the name has .tsv; it may be packed, as its
    name says. An empty cell is an empty text.

    Args:
        mend: how to write the file, for whoever reads an error.

    Raises:
        TriadError: it cannot be read, or has not each column once.
    """
    sign = "\t" if ".tsv" in path.suffixes else ","
    dialect = Dialect(path.name, delimiter=sign, multiline=True, null_values=())
    try:
        files = locate_file(path, "csv", dialect, LimitsParams())
        for piece in files.pieces(columns or files.names()):
            yield piece.drop_columns([ROW])
    except TriadError as error:
        raise TriadError(error.what, where=error.where, mend=mend, transient=error.transient) from error
