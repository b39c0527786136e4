"""The contract's tables from a shop's own files or database, as `ingest.files` maps them.

A source is read once, in pieces, into typed DuckDB columns; rules, cancellations, windows and derived tables are
queries on those. Guide for users: docs/your_data.md.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from triad import canonical
from triad.config.files import FilesParams, TableParams
from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.redaction import Privacy, shown
from triad.schema import TABLES, Column
from triad.sources import derived
from triad.sources.base import ROW, Rows
from triad.sources.cells import CONSTANT, Fault, Value, literal, quote
from triad.sources.clock import TIMES
from triad.sources.mapping import check_texts, condition, describe, sources, value
from triad.sources.opening import Find, opened
from triad.sources.spelling import check_spelling
from triad.tables import conform

log = logging.getLogger("triad.ingest")

_YEARS, _FEW = (1980, 2100), 0.01
"""Times outside of these years were misread or mean none. Up to this share of a table's rows the log counts them."""


@dataclass(frozen=True)
class Plan:
    """How one file's columns become a table in DuckDB."""

    columns: dict[str, Value]
    rules: tuple[tuple[str, str], ...]  # (said in logs, SQL that is true where the row goes)
    rule_faults: tuple[Fault, ...]
    cancelled: str

    @property
    def faults(self) -> dict[str, tuple[str, Fault]]:
        """Every fault with the contract column it concerns (empty for a rule's), under the name of a column for it."""
        every = [("", f) for f in self.rule_faults] + [(n, f) for n, v in self.columns.items() for f in v.faults]
        return {f"fault: {fault.source} {column} {fault.what}": (column, fault) for column, fault in every}

    def select(self, source: str) -> str:
        """The query that makes the table's rows: its columns, `rule` (the first that drops a row), faults beside."""
        cases = " ".join(f"WHEN {sql} THEN {number}" for number, (_, sql) in enumerate(self.rules))
        parts = [f"{quote(ROW)} AS {quote(ROW)}", f"{self.cancelled} AS is_cancellation"]
        parts.append(f"CAST(CASE WHEN {self.cancelled} THEN NULL {cases} END AS UTINYINT) AS rule")
        parts += [f"{made.sql} AS {quote(name)}" for name, made in self.columns.items()]
        parts += [f"{fault.sql} AS {quote(name)}" for name, (_, fault) in self.faults.items()]
        return f"SELECT {', '.join(parts)} FROM {source}"


def read_files(params: IngestParams) -> dict[str, pa.Table]:
    """The contract's tables for `[as_of - window_days, as_of)`.

    Users and items are those known before `as_of`; derived ones also have an event in the window.

    Raises:
        TriadError: whatever is wrong with a file or with the mapping, with the file, column, count and sample rows.
    """
    files = params.files
    if files is None:
        raise TriadError("is missing", where="ingest.files", mend="map your files' columns; see docs/your_data.md")
    last = datetime.combine(params.as_of, time(), UTC)
    window = (last - timedelta(days=params.window_days), last)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '3GB'")
        session.execute(f"SET temp_directory = {literal(spill)}; SET python_enable_replacements = false")
        session.execute("SET enable_external_access = false; SET lock_configuration = true")
        with opened(files, window) as find:
            rows_of = {n: _load(session, n, find, files, params.currency) for n, t in files.tables.items() if t.is_read}
        check_spelling(session, tuple(rows_of))
        derived.remove_cancelled(session, before=last, order=ROW if rows_of["events"].is_ordered else "event_id")
        tables = {}
        for name, table in files.tables.items():
            if table.is_read:
                query = _query(session, name, rows_of[name], table, window)
                if table.missing:
                    query = derived.completed(session, name, query, *window)
            else:
                query = derived.QUERIES[name](tuple(table.columns), *window)
            tables[name] = conform(name, session.sql(query).to_arrow_table())
            _check_complete(name, tables[name])
            log.info("%s: %s rows%s", name, f"{tables[name].num_rows:,}", "" if table.is_read else ", from events")
    return tables


def _load(session: duckdb.DuckDBPyConnection, name: str, find: Find, files: FilesParams, currency: str) -> Rows:
    """Reads a source into the DuckDB table of its name and checks all values that the rules leave."""
    table = files.tables[name]
    where = f"ingest.files.{name}"
    check_texts(session, table, where)
    source = find(name)
    needed = _needed(name, files)
    plans: dict[pa.Schema, Plan] = {}
    for raw in source.pieces(needed):
        piece = canonical.settled(raw, where)
        session.register("piece", piece)
        if piece.schema not in plans:
            types = {row[0]: row[1] for row in session.execute("DESCRIBE piece").fetchall()}
            plans[piece.schema] = _plan(name, files, types, currency)
            session.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {plans[piece.schema].select('piece')} LIMIT 0")
            for fault in plans[piece.schema].faults:  # another file's types can fail in other ways
                session.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {quote(fault)} VARCHAR")
        session.execute(f"INSERT INTO {name} BY NAME {plans[piece.schema].select('piece')}")
        session.unregister("piece")
    where = f"{where} ({source.name})"
    if not plans or not session.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]:
        missing = "below the header" if source.is_ordered else "for the window"
        mend = "bring a file with rows" if source.is_ordered else "correct ingest.as_of or ingest.window_days"
        raise TriadError(f"there are no rows {missing}", where=where, mend=mend)
    _check_faults(session, name, source, {n: f for plan in plans.values() for n, f in plan.faults.items()}, files)
    _leave_out(session, name, [said for said, _ in next(iter(plans.values())).rules], where)
    _check_keys(session, name, source, files.personal_ids)
    return source


def _needed(name: str, files: FilesParams) -> list[str]:
    """The source columns that table `name` and what is derived from it are made of."""
    table = files.tables[name]
    columns = list(table.columns.values())
    if name == "events":
        columns += [c for t in files.tables.values() if t.from_ for c in t.columns.values()]
    conditions = [*table.where, *table.drop, *([table.cancelled] if table.cancelled else [])]
    return list(dict.fromkeys([*(n for c in columns for n in sources(c)), *(c.column for c in conditions)]))


def _plan(name: str, files: FilesParams, types: Mapping[str, str], currency: str) -> Plan:
    contract, table = TABLES[name], files.tables[name]

    def made(column: Column, params: TableParams) -> Value:
        return value(column, params.columns[column.name], table, types, currency)

    columns = {n: made(_column(name, n), table) for n in table.columns}
    if name == "events":
        for other, params in files.tables.items():
            if params.from_:
                columns |= {f"{other}.{n}": made(_column(other, n), params) for n in params.columns}
    keep = [condition(c, table, types) for c in table.where]
    drop = [condition(c, table, types) for c in table.drop]
    rules = [(f"not {describe(c)}", f"NOT {v.sql}") for c, v in zip(table.where, keep, strict=True)]
    rules += [(describe(c), v.sql) for c, v in zip(table.drop, drop, strict=True)]
    if name == "events":
        rules.append(("no user", f"{columns['user_id'].sql} IS NULL"))
    if files.sample_users < 1 and "user_id" in contract.names:
        # salted, for the folds of features are cut by md5 of the bare id
        share = f"('0x' || md5('sample ' || {columns['user_id'].sql})[1:8])::UBIGINT / {2**32}"
        rules.append(("outside of sample_users", f"{share} >= {files.sample_users!r}"))
    cancelled = condition(table.cancelled, table, types).sql if table.cancelled else "false"
    return Plan(columns, tuple(rules), tuple(f for v in (*keep, *drop) for f in v.faults), cancelled)


def _column(table: str, name: str) -> Column:
    """The contract's column, or an attribute that the shop declares."""
    contract = TABLES[table]
    if name not in contract.names:
        return Column(name, "string", "attribute", nullable=True, personal=True)
    column = contract.column(name)  # events without a user are dropped by rule
    return replace(column, nullable=True) if (table, name) == ("events", "user_id") else column


def _check_faults(
    session: duckdb.DuckDBPyConnection,
    name: str,
    source: Rows,
    faults: Mapping[str, tuple[str, Fault]],
    files: FilesParams,
) -> None:
    for made, (column, fault) in faults.items():
        text = quote(made)
        bad = f"{text} IS NOT NULL AND NOT is_cancellation" + (" AND rule IS NULL" if column else "")
        count = session.execute(f"SELECT count(*) FROM {name} WHERE {bad}").fetchall()[0][0]
        if count and fault.counted:
            log.info("%s.%s: %s rows %s; %s", name, column, f"{count:,}", fault.what, fault.mend)
        elif count:
            query = f"SELECT {quote(ROW)}, {text} FROM {name} WHERE {bad} ORDER BY 1 LIMIT 3"
            rows = [(*source.place(row), text) for row, text in session.execute(query).fetchall()]
            personal = _personal(name, files, fault.source)
            samples = ", ".join(
                f"row {row} {shown(text, personal=personal)}" for file, row, text in rows if file == rows[0][0]
            )
            raise TriadError(
                f"{fault.what} in {count:,} row{'s' * (count > 1)}: {samples}",
                where=f"{rows[0][0]}, column {fault.source}" + (f" → {name}.{column}" if column else ""),
                mend=f"{fault.mend} (at {source.where})",
            )


def _personal(name: str, files: FilesParams, source: str) -> bool:
    """Whether a source column may say something of a person: a personal column is made of it, or none is."""
    made = [_column(name, n) for n, params in files.tables[name].columns.items() if source in sources(params)]
    if name == "events":
        tables = {other: table for other, table in files.tables.items() if table.from_}
        made += [
            _column(o, n) for o, t in tables.items() for n, params in t.columns.items() if source in sources(params)
        ]
    return source != CONSTANT and (not made or any(_says_who(column) for column in made))


def _says_who(column: Column) -> bool:
    return column.personal and column.type == "string"


def _leave_out(session: duckdb.DuckDBPyConnection, name: str, rules: Sequence[str], where: str) -> None:
    query = f"SELECT rule, is_cancellation, count(*) FROM {name} GROUP BY ALL ORDER BY ALL"
    counts = {(rule, gone): n for rule, gone, n in session.execute(query).fetchall()}
    said = [f"{counts[number, False]:,} {text}" for number, text in enumerate(rules) if (number, False) in counts]
    log.info("%s: %s rows read; left out: %s", name, f"{sum(counts.values()):,}", "; ".join(said) or "none")
    if (None, False) not in counts:
        mend = "correct `where`, `drop`, `cancelled` or the column of the user"
        raise TriadError(
            f"no row is left; left out: {'; '.join(said) or 'all are cancellations'}", where=where, mend=mend
        )
    session.execute(f"DELETE FROM {name} WHERE rule IS NOT NULL")


def _check_keys(session: duckdb.DuckDBPyConnection, name: str, files: Rows, made: frozenset[str]) -> None:
    key = ", ".join(map(quote, TABLES[name].key))
    twice = (
        f"SELECT {key}, count(*) AS n, min({quote(ROW)}) AS first, max({quote(ROW)}) AS last FROM {name} "
        f"WHERE NOT is_cancellation GROUP BY {key} HAVING n > 1"
    )
    keys, rows = session.execute(f"SELECT count(*), sum(n) FROM ({twice})").fetchall()[0]
    if keys:
        samples = []
        for *values, _, first, last in session.execute(f"{twice} ORDER BY first LIMIT 3").fetchall():
            (file, row), (other, again) = files.place(first), files.place(last)
            columns = zip(TABLES[name].key, values, strict=True)
            key_shown = ":".join(shown(v, personal=Privacy(made=made).hides(name, n)) for n, v in columns)
            samples.append(f"{key_shown} in row {row} and row {again}" + (f" of {other}" if other != file else ""))
        ids = ", or let the mapping make ids: event_id: {row_number: true} or {key: [column, …]}"
        mend = "remove the repeats" + (ids if name == "events" else "")
        raise TriadError(
            f"{keys:,} duplicated id{'s' * (keys > 1)} in {rows:,} rows: {'; '.join(samples)}",
            where=f"{files.name}, {name}.{'+'.join(TABLES[name].key)}",
            mend=mend,
        )


def _check_complete(name: str, data: pa.Table) -> None:
    """What a file leaves empty is found with its rows; this is for what was derived."""
    for column in TABLES[name].columns:
        if not column.nullable and (count := data[column.name].null_count):
            key = TABLES[name].key[0]
            unknown = data.filter(pc.is_null(data[column.name]))[key][:3].to_pylist()
            samples = ", ".join(shown(each, personal=_says_who(TABLES[name].column(key))) for each in unknown)
            raise TriadError(
                f"unknown for {count:,} of {data.num_rows:,} rows, such as {samples}: no event of theirs tells it",
                where=f"table {name} derived from events, column {column.name}",
                mend=f"map it on the events' rows, or read {name} from a file: ingest.files.{name}.path",
            )


def _query(
    session: duckdb.DuckDBPyConnection, name: str, files: Rows, table: TableParams, window: tuple[datetime, datetime]
) -> str:
    """The query for a table's rows in the window; checks that it is not empty."""
    columns = ", ".join(map(quote, table.columns))
    order = ", ".join(map(quote, TABLES[name].key))
    clock = TIMES.get(name)
    if clock is None:
        return f"SELECT {columns} FROM {name} ORDER BY {order}"
    first, last = (f"TIMESTAMPTZ {literal(t.isoformat())}" for t in window)
    kept = f"{clock} < {last}" + (f" AND {clock} >= {first}" if TABLES[name].day_of else "")
    strange = f"count(*) FILTER (year({clock}) NOT BETWEEN {_YEARS[0]} AND {_YEARS[1]})"
    query = f"SELECT count(*) FILTER ({kept}), count(*), min({clock}), max({clock}), {strange} FROM {name}"
    inside, total, earliest, latest, misread = session.execute(query).fetchall()[0]
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
