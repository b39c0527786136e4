"""What params.yaml names outside of itself, looked at before a night begins: files, folders, the merchant's SQL.

A stage that is the last to read one would find it missing hours later, when a new model serves already.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triad.config.cross import attributes
from triad.config.images import COLOURS, LITE0
from triad.config.text import MINILM, SCRATCH, WORDS
from triad.errors import TriadError

if TYPE_CHECKING:
    from triad.config.params import Params


def check(params: Params) -> None:
    """Raises:
    TriadError: a file or folder is not there, cannot be read, or the condition of `recommend.hide` is none.
    """
    text, beside, images = params.text.encoder, params.text.beside, params.images.encoder
    named = {
        "text.encoder": (text, text in (WORDS, MINILM, SCRATCH), True),
        "text.beside": (beside, beside in (MINILM, SCRATCH), True),
        "images.encoder": (images, images in (COLOURS, LITE0), False),
        "images.folder": (params.images.folder, False, True),
        "text.writing.edits": (params.text.writing.edits, False, False),
    }
    for key, (place, is_known, is_folder) in named.items():
        if place is None or is_known:
            continue
        if not (Path(place).is_dir() if is_folder else Path(place).is_file()):
            what = f"there is no {'folder' if is_folder else 'file'} {place}"
            raise TriadError(what, where=f"params.yaml: {key}", mend=f"correct the path, from {Path.cwd()}")
    if params.text.writing.edits is not None:
        from triad.writing.catalogue import read_edits

        read_edits(Path(params.text.writing.edits))
    if params.recommend.hide is not None or params.recommend.out_of_stock is not None:
        _shelf(params)


def _shelf(params: Params) -> None:
    """Whether what is hidden can be told of tables without rows."""
    import duckdb
    import pyarrow as pa

    from triad.schema import TABLES
    from triad.tables import arrow_schema, confine
    from triad.tracking.shelf import hidden
    from triad.tracking.stock import with_stock

    shown = with_stock(params.recommend)
    with duckdb.connect() as session:
        confine(session)
        for name, table in TABLES.items():
            own = attributes(params) if table.open else ()
            empty = pa.schema([*arrow_schema(table), *(pa.field(each, pa.string()) for each in own)]).empty_table()
            session.register(name, empty)
        for condition in (params.recommend.hide, shown.hide):  # OR makes a truth value of a number
            hidden(session, condition)
