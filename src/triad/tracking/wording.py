"""What a registered model writes of products: title, description and promotion line, from their attributes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from triad.errors import TriadError
from triad.writing.asked import rows, written
from triad.writing.catalogue import product_of
from triad.writing.tone import LENGTHS, TONES
from triad.writing.writer import Writer

if TYPE_CHECKING:
    from triad.fusion.fused import Fused

WORDED = (("tone", "string", "plain"), ("length", "string", "any"))
"""What a request may say of texts: name, type and default."""
COLUMNS = ("item_id", "genre", "text", "written_by", "why")


def writer_of(fused: Fused) -> Writer | None:
    """What the model learned to write by, None where it learned nothing of it."""
    for name in fused.writers:
        if isinstance(writer := getattr(fused.members[name], "writer", None), Writer):
            return writer
    return None


def worded(fused: Fused, items: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> pa.Table:
    """A row a product and genre: item_id, genre, text (null: nobody writes it), written_by, why, machine_made.

    Args:
        items: rows of the table items, "" where nothing is said.

    Raises:
        TriadError: the model writes no texts, a dial is unknown, or attributes are no object of names and values.
    """
    writer = writer_of(fused)
    if writer is None:
        mend = "name product_writer in fuse.members, and let a night train it"
        raise TriadError("the model writes no texts", where="params.mode", mend=mend)
    dials = {name: params.get(name, default) for name, _, default in WORDED}
    for name, choices in (("tone", TONES), ("length", LENGTHS)):
        if dials[name] not in choices:
            raise TriadError(f"unknown {dials[name]!r}", where=f"params.{name}", mend=f"ask for {' or '.join(choices)}")
    told = rows(written(writer, [product_of(item) for item in items], dials["tone"], dials["length"]))
    columns: dict[str, Any] = {name: pa.array([row[name] for row in told], pa.string()) for name in COLUMNS}
    return pa.table(columns | {"machine_made": pa.array([row["machine_made"] for row in told], pa.bool_())})
