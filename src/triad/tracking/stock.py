"""What is out of stock, as a condition on items."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.paths import sql_text

LOG = logging.getLogger("triad.recommend")


def with_stock(settings: RecommendParams) -> RecommendParams:
    """`settings` that hide what is out of stock.

    Raises:
        TriadError: the file is not there, or has no column item_id.
    """
    if settings.out_of_stock is None:
        return settings
    path = Path(settings.out_of_stock)
    try:
        if path.suffix == ".parquet":
            ids = pq.read_table(path, columns=["item_id"])["item_id"].cast(pa.string())
        else:
            options = csv.ConvertOptions(column_types={"item_id": pa.string()}, include_columns=["item_id"])
            ids = csv.read_csv(path, convert_options=options)["item_id"]
    except (OSError, pa.ArrowException) as error:
        raise TriadError(
            f"cannot be read: {error}",
            where=f"recommend.out_of_stock: {path}",
            mend="name a CSV or Parquet file with a column item_id, or null",
        ) from error
    gone = ", ".join(map(sql_text, pc.unique(ids.drop_null()).to_pylist()))
    LOG.info("%s items are out of stock", f"{len(ids):,}")
    condition = f"({settings.hide or 'false'}) OR item_id IN ({gone})" if gone else settings.hide
    return settings.model_copy(update={"hide": condition})
