"""What is out of stock, as a condition on items."""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.paths import sql_text
from triad.sources.plain import pieces

LOG = logging.getLogger("triad.recommend")
ID = "item_id"
MEND = f"name a Parquet file, or a CSV (UTF-8, a header, commas between cells), with a column {ID}; or null"


def with_stock(settings: RecommendParams) -> RecommendParams:
    """`settings` that hide what is out of stock.

    Raises:
        TriadError: the file is not there, cannot be read, or has no column item_id.
    """
    gone = ", ".join(map(sql_text, _ids(settings)))
    condition = f"({settings.hide or 'false'}) OR {ID} IN ({gone})" if gone else settings.hide
    return settings.model_copy(update={"hide": condition})


def tell(session: duckdb.DuckDBPyConnection, settings: RecommendParams) -> None:
    """Log how much is out of stock. Ids that no item has are a warning: written otherwise, they hide nothing."""
    if not (ids := _ids(settings)):
        return
    known = {item for (item,) in session.execute(f"SELECT {ID} FROM items").fetchall()}
    LOG.info("%s items are out of stock", f"{len(known.intersection(ids)):,}")
    if unknown := len(set(ids) - known):
        LOG.warning("recommend.out_of_stock: %s of %s ids are of no item", f"{unknown:,}", f"{len(ids):,}")


def _ids(settings: RecommendParams) -> list[str]:
    """Each once; an empty cell names nothing."""
    if settings.out_of_stock is None:
        return []
    path = Path(settings.out_of_stock)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            read = pq.read_table(path, columns=[ID])[ID].cast(pa.string())
        else:
            read = pa.chunked_array([each[ID].combine_chunks() for each in pieces(path, MEND, [ID])], pa.string())
    except (OSError, pa.ArrowException) as error:  # what Arrow says may hold the file's words
        what, where = f"cannot be read ({type(error).__name__})", f"recommend.out_of_stock: {path}"
        raise TriadError(what, where=where, mend=MEND) from error
    except TriadError as error:
        raise TriadError(error.what, where=f"recommend.out_of_stock: {error.where}", mend=MEND) from error
    return [each for each in pc.unique(read).to_pylist() if each]
