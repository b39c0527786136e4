"""Stage `ingest`: read the window's tables from the source, as Parquet by day; a simulation's truth is kept apart.

Everything is read and checked before an earlier output is replaced.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad import artifacts
from triad.artifacts import replacing_together, write_json
from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.privacy.persons import Persons, persons
from triad.progress import Progress
from triad.redaction import Privacy, shown, shown_path
from triad.schema import ATTRIBUTE_LENGTH, REQUIRED, TABLES
from triad.tables import conform, write_table

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.sources.simulated import Shop

log = logging.getLogger("triad.ingest")


def ingest(params: Params) -> None:
    """Write `artifacts/ingest/tables` and `artifacts/ingest/oracle`.

    Raises:
        TriadError: what was read does not fit the contract, the key for pseudonyms is missing or another one, or the
            disk is full. Earlier outputs stay as they were.
    """
    chosen = params.ingest
    log.info("source %s · %s", chosen.source, shown_path(chosen.model_dump_json(exclude_defaults=True)))
    who = persons(chosen.pseudonymise)
    start = time.monotonic()
    with replacing_together(artifacts.ORACLE, artifacts.INGESTED) as (oracle, tables):
        write = _simulated if chosen.source == "simulated" else _files
        rows = write(chosen, who, tables, oracle)
        who.record(tables)
    if who.forgotten:
        gone = ", ".join(f"{name} {count:,}" for name, count in who.left_out.items() if count)
        log.info("%s persons and messages are to be forgotten; rows suppressed: %s", len(who.forgotten), gone or "none")
    counted = " · ".join(f"{name} {count:,}" for name, count in rows.items())
    log.info("%s · %.1f s · %s", counted, time.monotonic() - start, artifacts.INGESTED)


def _files(chosen: IngestParams, who: Persons, tables: Path, oracle: Path) -> dict[str, int]:
    from triad.sources.files import read_files

    found = read_files(chosen)
    for name in REQUIRED:
        if name not in found:
            raise TriadError("the table is missing", where=f"table {name}", mend="name its files under ingest.files")
    found = {name: check(name, who.table(name, data), chosen) for name, data in found.items()}
    write_json(oracle / "oracle.json", {"known": False})
    return {name: write_table(tables, name, data) for name, data in found.items()}


def _simulated(chosen: IngestParams, who: Persons, tables: Path, oracle: Path) -> dict[str, int]:
    from triad.sources.simulated import simulate

    shop = simulate(chosen)
    rows = {
        name: write_table(tables, name, check(name, who.table(name, data), chosen))
        for name, data in shop.tables.items()
    }
    rows["events"] = _write_days(shop, chosen, who, tables, oracle)
    for name, data in shop.oracle.items():
        pq.write_table(who.rows(f"truth of {name}", data), oracle / f"{name}.parquet", compression="zstd")
    known = {"known": True, "source": "simulated", "size": chosen.simulated.size, "seed": chosen.simulated.seed}
    write_json(oracle / "oracle.json", known)
    return rows


def _write_days(shop: Shop, chosen: IngestParams, who: Persons, tables: Path, oracle: Path) -> int:
    """Events and exposures, one day in memory at a time; ids carry their day, so days cannot share one."""
    count, writer = 0, None
    with Progress("simulating", chosen.window_days, "days") as progress:
        try:
            for day in shop.days():
                count += write_table(tables, "events", check("events", who.table("events", day.events), chosen))
                truth = who.rows("exposures", day.exposures)
                writer = writer or pq.ParquetWriter(oracle / "exposures.parquet", truth.schema, compression="zstd")
                writer.write_table(truth)
                progress.advance(1, events=count)
        finally:
            if writer is not None:
                writer.close()
    return count


def check(name: str, data: pa.Table, chosen: IngestParams) -> pa.Table:
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
            mend=f"check the source and the window {'–'.join(map(str, window(chosen)))}",
        )
    for column in table.columns:
        if not column.nullable and data[column.name].null_count:
            raise TriadError(
                f"{data[column.name].null_count:,} of {data.num_rows:,} values are missing",
                where=f"table {name}, column {column.name}",
                mend="fill or drop these rows in the source",
            )
    _tell_long(name, data)
    _check_key(name, data, chosen)
    if table.day_of is not None and data.num_rows:
        _check_times(name, data, chosen)
    return data


def window(chosen: IngestParams) -> tuple[datetime, datetime]:
    """First moment of the window and the first after it, UTC."""
    end = datetime(chosen.as_of.year, chosen.as_of.month, chosen.as_of.day, tzinfo=UTC)
    return end - timedelta(days=chosen.window_days), end


def _tell_long(name: str, data: pa.Table) -> None:
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


def _check_key(name: str, data: pa.Table, chosen: IngestParams) -> None:
    keys = list(TABLES[name].key)
    counts = data.select(keys).group_by(keys).aggregate([([], "count_all")])
    if counts.num_rows == data.num_rows:
        return
    repeated = counts.filter(pc.greater(counts["count_all"], 1)).sort_by([(key, "ascending") for key in keys])
    privacy = Privacy(made=chosen.files.personal_ids if chosen.files else frozenset())
    sample = [
        ":".join(shown(row[key], personal=privacy.hides(name, key)) for key in keys)
        for row in repeated.slice(0, 5).to_pylist()
    ]
    raise TriadError(
        f"{repeated.num_rows:,} keys stand in more than one row, such as {', '.join(sample)}",
        where=f"table {name}, key {', '.join(keys)}",
        mend="keep one row a key in the source",
    )


def _check_times(name: str, data: pa.Table, chosen: IngestParams) -> None:
    column = TABLES[name].day_of
    first, end = window(chosen)
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
