"""The contract between a source and the rest: what a table must be before it is written."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.redaction import Privacy, shown
from triad.schema import ATTRIBUTE_LENGTH, REQUIRED, TABLES
from triad.tables import conform

log = logging.getLogger("triad.ingest")


def check(name: str, data: pa.Table, params: IngestParams) -> pa.Table:
    """`data` as the contract has it.

    Raises:
        TriadError: wrong columns or types, no rows in a required table, nulls where none may be, a key that is not
            unique, or times outside the window `[as_of - window_days, as_of)`.
    """
    table = TABLES[name]
    data = conform(name, data)
    if name in REQUIRED and data.num_rows == 0:
        raise TriadError(
            "no rows",
            where=f"table {name}",
            mend=f"check the source and the window {'–'.join(map(str, window(params)))}",
        )
    for column in table.columns:
        if not column.nullable and data[column.name].null_count:
            raise TriadError(
                f"{data[column.name].null_count:,} of {data.num_rows:,} values are missing",
                where=f"table {name}, column {column.name}",
                mend="fill or drop these rows in the source",
            )
    _warn_of_long_texts(name, data)
    _check_key(name, data, params)
    if table.day_of is not None and data.num_rows:
        _check_times(name, data, params)
    return data


def window(params: IngestParams) -> tuple[datetime, datetime]:
    """First moment of the window and the first after it, UTC."""
    end = datetime(params.as_of.year, params.as_of.month, params.as_of.day, tzinfo=UTC)
    return end - timedelta(days=params.window_days), end


def _warn_of_long_texts(name: str, data: pa.Table) -> None:
    """Say which texts are too long: `validate`, which sets a few aside and refuses many, may come hours later."""
    limits = {column.name: column.max_length for column in TABLES[name].columns}
    for column in data.column_names:
        limit, values = limits.get(column, ATTRIBUTE_LENGTH), data[column]
        if not pa.types.is_string(values.type) or (pc.max(pc.binary_length(values)).as_py() or 0) <= limit:
            continue
        long = pc.sum(pc.greater(pc.utf8_length(values), limit)).as_py() or 0
        if long:
            log.warning(
                "%s.%s: %s of %s texts have more than %s characters; `triad validate` sets such rows aside or stops",
                name,
                column,
                f"{long:,}",
                f"{data.num_rows:,}",
                f"{limit:,}",
            )


def _check_key(name: str, data: pa.Table, params: IngestParams) -> None:
    keys = list(TABLES[name].key)
    counts = data.select(keys).group_by(keys).aggregate([([], "count_all")])
    if counts.num_rows == data.num_rows:
        return
    repeated = counts.filter(pc.greater(counts["count_all"], 1)).sort_by([(key, "ascending") for key in keys])
    privacy = Privacy(made=params.files.personal_ids if params.files else frozenset())
    sample = [
        ":".join(shown(row[key], personal=privacy.hides(name, key)) for key in keys)
        for row in repeated.slice(0, 5).to_pylist()
    ]
    raise TriadError(
        f"{repeated.num_rows:,} keys stand in more than one row, such as {', '.join(sample)}",
        where=f"table {name}, key {', '.join(keys)}",
        mend="keep one row a key in the source",
    )


def _check_times(name: str, data: pa.Table, params: IngestParams) -> None:
    column = TABLES[name].day_of
    first, end = window(params)
    stamps = data[column].cast(pa.timestamp("us", tz="UTC"))
    earliest, latest = pc.min_max(stamps).as_py().values()
    if earliest < first or latest >= end:
        outside = pc.sum(pc.or_(pc.less(stamps, first), pc.greater_equal(stamps, end))).as_py()
        raise TriadError(
            f"{outside:,} of {data.num_rows:,} rows lie outside the window [{first:%Y-%m-%d}, {end:%Y-%m-%d}): "
            f"times run from {earliest:%Y-%m-%d %H:%M} to {latest:%Y-%m-%d %H:%M}",
            where=f"table {name}, column {column}",
            mend="set ingest.as_of to the day after the last whole day, and check units and zone of the times",
        )
