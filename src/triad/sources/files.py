"""The contract's tables from a shop's own files or database, as `ingest.files` maps them.

A source is read once, in pieces, into typed DuckDB columns; rules, cancellations, windows and derived tables are
queries on those. Guide for users: docs/your_data.md.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import UTC, datetime, time, timedelta

import duckdb
import pyarrow as pa

from triad.config.files import TableParams
from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.schema import TABLES
from triad.sources import derived
from triad.sources.base import ROW, Rows
from triad.sources.cells import literal, quote
from triad.sources.checks import check_complete, check_faults, check_keys, leave_out
from triad.sources.clock import TIMES
from triad.sources.keeping import Keeping
from triad.sources.loading import Loading, set_up
from triad.sources.mapping import check_texts
from triad.sources.opening import Find, opened
from triad.sources.plan import needed
from triad.sources.spelling import check_spelling
from triad.tables import conform

log = logging.getLogger("triad.ingest")

_YEARS, _FEW = (1980, 2100), 0.01
"""Times outside of these years were misread or mean none. Up to this share of a table's rows the log counts them."""


def read_files(params: IngestParams, keeping: Keeping | None = None) -> dict[str, pa.Table]:
    """The contract's tables for `[as_of - window_days, as_of)`.

    Users and items are those known before `as_of`; derived ones also have an event in the window.

    Args:
        params: the mapping and the window.
        keeping: which events need not be read again, and whose rows are left out; None: none.

    Raises:
        TriadError: whatever is wrong with a file or with the mapping, with the file, column, count and sample rows.
    """
    files = params.files
    if files is None:
        raise TriadError("is missing", where="ingest.files", mend="map your files' columns; see docs/your_data.md")
    last = datetime.combine(params.as_of, time(), UTC)
    window = (last - timedelta(days=params.window_days), last)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as session:
        set_up(session, spill)
        with opened(files, window) as find:
            read = [name for name, table in files.tables.items() if table.is_read]
            aside = keeping or Keeping()
            rows_of = {name: _load(session, name, find, aside, params) for name in read}
        check_spelling(session, tuple(rows_of))
        derived.remove_cancelled(session, before=last, order=ROW if rows_of["events"].is_ordered else "event_id")
        tables = {}
        for name, table in files.tables.items():
            if table.is_read:
                query = _query(session, name, rows_of[name], table, window)
                if table.missing:
                    query = derived.completed(session, name, table.columns, query, window)
            else:
                query = derived.QUERIES[name](tuple(table.columns), *window)
            tables[name] = conform(name, session.sql(query).to_arrow_table())
            check_complete(name, tables[name])
            log.info("%s: %s rows%s", name, f"{tables[name].num_rows:,}", "" if table.is_read else ", from events")
    return tables


def _load(session: duckdb.DuckDBPyConnection, name: str, find: Find, keeping: Keeping, params: IngestParams) -> Rows:
    """Reads a source into the DuckDB table of its name and checks all values that the rules leave."""
    where, files = f"ingest.files.{name}", params.files
    assert files is not None, "read_files has asked"
    check_texts(session, files.tables[name], where)
    source, loading = find(name), Loading(session, name, files, params.currency)
    session.execute("BEGIN")  # a commit for each piece costs more than the piece
    if name == "events":
        keeping.load(loading, source, needed(name, files))
    else:
        loading.add(source.pieces(needed(name, files)))
    session.execute("COMMIT")
    where = f"{where} ({source.name})"
    if loading.is_empty:
        missing = "below the header" if source.is_ordered else "for the window"
        mend = "bring a file with rows" if source.is_ordered else "correct ingest.as_of or ingest.window_days"
        raise TriadError(f"there are no rows {missing}", where=where, mend=mend)
    check_faults(session, name, source, loading.faults, files)
    leave_out(session, name, loading.rules, where)
    check_keys(session, name, source, files.personal_ids)
    return source


def _query(
    session: duckdb.DuckDBPyConnection, name: str, files: Rows, table: TableParams, window: tuple[datetime, datetime]
) -> str:
    """The query for a table's rows in the window; checks that it is not empty."""
    columns = ", ".join(map(quote, table.columns))
    order = ", ".join(map(quote, TABLES[name].key))
    clock = TIMES.get(name)
    if clock not in table.columns:
        return f"SELECT {columns} FROM {name} ORDER BY {order}"
    first, last = (f"TIMESTAMPTZ {literal(t.isoformat())}" for t in window)
    kept = f"{clock} < {last}" + (f" AND {clock} >= {first}" if TABLES[name].day_of else "")
    strange = f"count(*) FILTER (year({clock}) NOT BETWEEN {_YEARS[0]} AND {_YEARS[1]})"
    query = f"SELECT count(*) FILTER ({kept}), count(*), min({clock}), max({clock}), {strange} FROM {name}"
    inside, total, earliest, latest, misread = session.execute(query).fetchall()[0]
    if not total:
        mend = "see whether `cancelled` means what it should"
        raise TriadError("no row is left: all purchases were cancelled", where=f"{files.name}, {name}", mend=mend)
    if misread > _FEW * total:
        raise TriadError(
            f"{misread:,} of {total:,} rows lie before {_YEARS[0]} or after {_YEARS[1]}; "
            f"the file's go from {earliest} to {latest}",
            where=f"{files.name}, {name}.{clock}",
            mend="see whether all are in one unit (epoch: seconds, milliseconds) and one format; "
            "leave out those that mean no time (`drop`, `null_values`)",
        )
    if not inside:
        raise TriadError(
            f"all {total:,} rows lie outside of the window {window[0]:%Y-%m-%d} … {window[1]:%Y-%m-%d}; "
            f"the file's go from {earliest} to {latest}",
            where=f"{files.name}, {name}.{clock}",
            mend="correct ingest.as_of, ingest.window_days or the time's format",
        )
    if inside < total:
        far = f", {misread:,} of them before {_YEARS[0]} or after {_YEARS[1]}" if misread else ""
        log.info("%s: %s rows outside of the window left out%s", name, f"{total - inside:,}", far)
    order = f"{clock}, {order}" if TABLES[name].day_of else order
    return f"SELECT {columns} FROM {name} WHERE {kept} ORDER BY {order}"
